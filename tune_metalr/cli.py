"""The command line: parse, delegate, print. Commands import what they need when they run."""

import errno
import os
import shlex
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tune_metalr import cli_jobs, cli_meta, cli_names, cli_searches
from tune_metalr.cli_searches import ResultsPath
from tune_metalr.command_line import command_line
from tune_metalr.errors import UserError, first_line
from tune_metalr.import_path import look_in
from tune_metalr.signals import InterruptedRunError, interruptible
from tune_metalr.store import above
from tune_metalr.submitted import submitting_command

app = typer.Typer(
    help="Compare learning-rate methods, and see how much tuning each one replaces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_names.app)
app.add_typer(cli_searches.app)
app.add_typer(cli_jobs.app)
app.add_typer(cli_meta.app)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="A study's YAML file.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Local mirror of the data sets, in the hub's layout. Else TUNE_METALR_DATA, "
        "else the Hugging Face hub."
    ),
]
Cpus = Annotated[int | None, typer.Option(min=1, help="CPUs to use; all, if not given.")]


_CHECKPOINT_SECONDS = 10.0


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        print(f"tune-metalr {version('tune-metalr')}")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    study: StudyPath,
    results: Annotated[
        str,
        typer.Option(help="Where the study's folder is made: a path, s3://bucket or gs://bucket."),
    ] = "results",
    data_dir: DataDir = None,
    cpus: Cpus = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster; 'auto' finds it.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Stop after this long; running again goes on.")
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, help="Least time between two checkpoints of a trial.")
    ] = _CHECKPOINT_SECONDS,
) -> None:
    """Run what a study still lacks. The same command goes on after any interruption."""
    command = submitting_command() or command_line(
        "run", str(study), results=results, data_dir=data_dir, cpus=cpus, address=address,
        max_hours=max_hours, checkpoint_seconds=_unless_default(checkpoint_seconds),
    )  # fmt: skip
    try:
        with interruptible() as interruption:
            exit_code = _run(
                study,
                interruption=interruption,
                results=results,
                data_dir=data_dir,
                cpus=cpus,
                address=address,
                max_hours=max_hours,
                checkpoint_seconds=checkpoint_seconds,
                command=command,
            )
    except InterruptedRunError as interruption:
        print(f"Stopped. To go on: {shlex.join(command)}")
        exit_code = interruption.exit_code
    _leave(exit_code)


@app.command()
def plan(study: StudyPath, data_dir: DataDir = None, cpus: Cpus = None) -> None:
    """Show what a study will cost here, and the smallest p-value that its seeds can reach."""
    from tune_metalr.cli_tables import plain_console, print_plan, timing_progress
    from tune_metalr.driver import available_cpus
    from tune_metalr.plan import plan_study
    from tune_metalr.runner import wanted_of
    from tune_metalr.study_file import load_study
    from tune_metalr.workloads.places import data_places

    loaded = load_study(study).study
    cpus = cpus or available_cpus()
    with (
        interruptible(),
        tempfile.TemporaryDirectory(prefix="tune-metalr-data-") as scratch,
    ):
        # Torch makes a folder for compiled code as soon as an optimizer steps.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = scratch
        places = data_places(data_dir, fallback=Path(scratch), folders=loaded.folders)
        wanted = wanted_of(loaded, places)
        with timing_progress() as timed:
            found = plan_study(
                loaded, wanted.trials, wanted.searches, places, cpus=cpus, timed=timed
            )
        print_plan(found, plain_console())


@app.command()
def status(
    results: ResultsPath,
    address: Annotated[
        str | None,
        typer.Option(help="Ask this cluster: RESULTS is then the name of a study, or a job's id."),
    ] = None,
) -> None:
    """Show how far a study is, and the command that completes it."""
    from tune_metalr.cli_tables import plain_console, print_status
    from tune_metalr.own_analysis import check_analysis

    if address is not None:
        cli_jobs.print_job_status(str(results), address, plain_console())
        return
    check_analysis()
    from tune_metalr.analysis_tables.development import print_development
    from tune_metalr.ledger import Ledger
    from tune_metalr.status import study_status

    ledger, console = Ledger(results), plain_console()
    found = study_status(ledger)
    print_status(found, shlex.join(ledger.command()), console)
    print_development(results, console)


@app.command()
def budgets(
    results: ResultsPath,
    method: Annotated[
        str | None, typer.Option(help="Untuned method to be told about; all, if not given.")
    ] = None,
) -> None:
    """Show what methods scored and cost, and how much tuning a baseline needs to catch up."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.own_analysis import check_analysis

    check_analysis()
    from tune_metalr.analysis_tables.budgets import print_budgets

    print_budgets(results, plain_console(), method=method)


@app.command()
def report(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...", help="Results of one study; of several, to tell them as one."
        ),
    ],
    out: Annotated[
        str | None, typer.Option(help="Folder to write; else 'report' in the first RESULTS.")
    ] = None,
) -> None:
    """Write one page that shows everything: index.html, report.md, tables and figures."""
    from tune_metalr.font_cache import keep_font_list
    from tune_metalr.own_analysis import check_analysis

    check_analysis()
    keep_font_list(above(results[0]))
    from analysis.report.report import write_report

    with interruptible():
        page = write_report(results, out)
    print(f"Report: {page}")


@app.command()
def compare(
    results: ResultsPath,
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="Second folder: pair the trials of both."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Method to compare with; else the study's own choice.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Difference in accuracy that counts as 'as good', as 0.01."),
    ] = None,
) -> None:
    """Compare the methods of a study seed by seed, or two ledgers trial by trial."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.own_analysis import check_analysis

    check_analysis()
    from analysis.load import load_choices
    from tune_metalr.analysis_tables.ledgers import print_two_ledgers
    from tune_metalr.analysis_tables.methods import print_comparison

    if other is None:
        choices = load_choices(results).changed(reference=reference, margin=margin)
        print_comparison(results, choices, plain_console())
    elif (reference, margin) != (None, None):
        raise UserError("--reference and --margin are for one ledger; leave them out")
    else:
        print_two_ledgers(results, other, plain_console())


def _run(study: Path, **options: Any) -> int:
    """Run the study, print its table, and return the exit code."""
    from tune_metalr.fork_server import ForkServer

    with ExitStack() as started:
        server = None if options["address"] else started.enter_context(ForkServer())
        # While it imports torch, this process imports the rest.
        from tune_metalr.cli_tables import plain_console
        from tune_metalr.driver import check_cpus
        from tune_metalr.own_analysis import check_analysis
        from tune_metalr.runner import RunOptions, run_study

        if not options["address"]:
            check_cpus(options["cpus"])
        check_analysis()  # now, not after hours of training
        console = plain_console()
        end = run_study(study, RunOptions(**options, fork_server=server), console)
    from tune_metalr.analysis_tables.budgets import print_budgets

    print_budgets(end.results, console)
    console.print(
        f"Look next: {_reported(end.results)}; tune-metalr compare {end.results}; tune-metalr "
        f"status {end.results}; in Python, analysis.load.load_trials('{end.results}') gives "
        f"trials and their curves, load_searches those of searches.",
        soft_wrap=True,
    )
    return end.exit_code


def _reported(results: str) -> str:
    """Write the report of a run; return where it is, or why it is not: the results stay."""
    try:
        from tune_metalr.font_cache import keep_font_list

        keep_font_list(above(results))
        from analysis.report.report import write_report

        return str(write_report([results]))
    except Exception as error:  # whatever it is, it must not change how the run ends
        reason = first_line(error)
        return f"no report ({reason}): tune-metalr report {results} tries again"


def _unless_default(checkpoint_seconds: float) -> float | None:
    return None if checkpoint_seconds == _CHECKPOINT_SECONDS else checkpoint_seconds


def _leave(exit_code: int) -> NoReturn:
    """End at once: after a run that was cut short, threads of Ray Tune bar a normal end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def main() -> None:
    """Run the command line; a user's error is one line per mistake and exit code 2."""
    look_in(Path.cwd())
    try:
        app()
    except UserError as error:
        for line in str(error).splitlines():
            print(f"tune-metalr: {line}", file=sys.stderr)
        _leave(2)
    except InterruptedRunError as interruption:
        _leave(interruption.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("tune_metalr", "analysis"):
            traceback.print_exc()
            _leave(1)
        print(f"tune-metalr: the package '{error.name}' is not installed here", file=sys.stderr)
        _leave(2)
    except OSError as error:  # a full disk, a folder that vanished
        where = f" ({error.filename})" if error.filename else ""
        full = "; free some space and run the same command again" * (error.errno == errno.ENOSPC)
        print(f"tune-metalr: {error.strerror or error}{where}{full}", file=sys.stderr)
        _leave(2)
    except Exception:
        # A mistake of ours. After a run that was cut short, Ray's way to tell of it would hang.
        traceback.print_exc()
        _leave(1)
