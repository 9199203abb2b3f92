"""Commands on the searches of a study that was run."""

from pathlib import Path
from typing import Annotated

import typer

from tune_metalr.errors import UserError
from tune_metalr.signals import interruptible
from tune_metalr.store import below, is_uri

app = typer.Typer()

ResultsPath = Annotated[
    str,
    typer.Argument(
        metavar="RESULTS", help="Of one study: a folder, as results/quickstart, or s3://, gs://."
    ),
]


@app.command(name="export-optuna")
def export_optuna(
    results: ResultsPath,
    out: Annotated[
        Path | None, typer.Option(help="The journal; else 'optuna.journal' in RESULTS.")
    ] = None,
) -> None:
    """Write a study's searches as an Optuna journal, which optuna-dashboard shows."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.ledger import Ledger
    from tune_metalr.proposals.export import COLUMNS, export_journal
    from tune_metalr.proposals.recorded import read_searches
    from tune_metalr.search_tables import print_export

    searches = read_searches(Ledger(results), COLUMNS)
    journal = out or Path(below(_folder(results, "--out"), "optuna.journal"))
    export_journal(searches, journal)
    print_export(searches, journal, plain_console())


@app.command()
def importance(
    results: ResultsPath,
    search: Annotated[
        str | None, typer.Option(help="Search to be told about; all, if not given.")
    ] = None,
) -> None:
    """Show which axes of a search decide whether a trial is among the best."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.ledger import Ledger
    from tune_metalr.proposals.importance import COLUMNS, importances
    from tune_metalr.proposals.recorded import read_searches
    from tune_metalr.search_tables import print_importances

    searches = read_searches(Ledger(results), COLUMNS)
    print_importances(importances(searches, name=search), plain_console())


@app.command()
def replay(
    results: ResultsPath,
    samplers: Annotated[
        str, typer.Option(help="Names, separated by commas; also 'random-rows'.")
    ] = "random,tpe",
    trials: Annotated[int, typer.Option(help="Of each search.")] = 64,
    repeats: Annotated[int, typer.Option(help="Searches by each sampler.")] = 1000,
    workers: Annotated[int, typer.Option(help="Trials at once, for the simulated clock.")] = 4,
    batch: Annotated[int, typer.Option(help="Proposals asked at once.")] = 4,
    search: Annotated[
        str | None, typer.Option(help="The study's search whose trials are replayed.")
    ] = None,
    workload: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    pruner: Annotated[str | None, typer.Option(help="Stops trials early.")] = None,
    rule: Annotated[
        str | None,
        typer.Option(help="For proposals off the table: nearest, interpolated; else the better."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all random streams.")] = 0,
    csv: Annotated[
        Path | None, typer.Option(help="File for every search after each trial.")
    ] = None,
) -> None:
    """Run searches on a study's recorded trials: which sampler spends a budget best."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.replay import replay
    from tune_metalr.replay_tables import print_replay, replay_progress, write_csv

    names = [name.strip() for name in samplers.split(",") if name.strip()]
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)  # a wrong path fails now, not at the end
        if csv.is_dir():
            raise UserError(f"--csv {csv} is a folder; name a file")
    with interruptible(), replay_progress(repeats) as heard:
        replays = replay(
            results,
            names,
            trials=trials,
            repeats=repeats,
            workers=workers,
            batch=batch,
            search=search,
            workload=workload,
            pruner=pruner,
            rule=rule,
            seed=seed,
            heard=heard,
        )
    print_replay(replays, plain_console())
    if csv is not None:
        write_csv(replays, csv)


def _folder(results: str, option: str) -> str:
    """Return the folder of results, next to which something is written by itself.

    Raises:
        UserError: They are in object storage, so the user has to say where.
    """
    if is_uri(results):
        raise UserError(f"name a file with {option}: {results} is no folder of this machine")
    return results
