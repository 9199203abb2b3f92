"""The command that trains MetaLR itself, on tasks of its own."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tune_metalr.errors import UserError, install
from tune_metalr.provenance import provenance
from tune_metalr.signals import InterruptedRunError, interruptible

app = typer.Typer()

_MOST_HOURS = 6.0


@app.command(name="meta-train")
def meta_train(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where its runs and results are kept.")
    ],
    hours: Annotated[float, typer.Option(min=0, help="Nothing begins later.")] = _MOST_HOURS,
    processes: Annotated[int, typer.Option(min=1, help="Runs at one time.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Another one shows what is luck.")] = 0,
    grid_seeds: Annotated[
        int,
        typer.Option(min=1, max=2, help="Runs of each setting of the grid, a seed each."),
    ] = 2,
    beside: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="prior.json of another training, to be compared with."),
    ] = None,
    ship: Annotated[
        bool, typer.Option("--ship", help="Once all is done, make it the package's own.")
    ] = False,
) -> None:
    """Train MetaLR anew, on generated tasks. The same command goes on after any interruption."""
    try:
        from tune_metalr.metalr.meta_training.record import laws_of
        from tune_metalr.metalr.meta_training.session import meta_train
    except ModuleNotFoundError as error:
        if error.name != "cmaes":
            raise
        told = f"meta-train needs the package cmaes: {install('meta-training')}"
        raise UserError(told) from None

    settings = ["--seed", str(seed), "--grid-seeds", str(grid_seeds)]
    command = ["tune-metalr", "meta-train", str(folder), "--processes", str(processes), *settings]
    command += ["--hours", str(hours)] if hours not in (0, _MOST_HOURS) else []
    command += ["--beside", str(beside)] if beside else []
    command += ["--ship"] if ship else []
    others = laws_of(beside) if beside else None
    ran = provenance()
    origin = {
        "command": shlex.join(["tune-metalr", "meta-train", "DIR", *settings]),
        "commit": ran["project_commit"] or "unknown",
        "cpu_model": ran["cpu_model"] or "unknown",
    }
    try:
        with interruptible():
            stages = meta_train(
                folder,
                limit_seconds=3600 * hours,
                processes=processes,
                seed=seed,
                grid_seeds=grid_seeds,
                origin=origin,
                is_shipped=ship,
                say=print,
                others=others,
            )
    except InterruptedRunError:
        print(f"Stopped. To go on: {shlex.join(command)}")
        raise
    if not all(stage.is_complete for stage in stages):
        nothing = ", and nothing is shipped yet" if ship else ""
        print(f"Time is up{nothing}. To go on: {shlex.join(command)}")
