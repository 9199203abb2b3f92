"""The line on development runs with which reports end."""

from rich.console import Console

from analysis.development import COLUMNS, DevelopmentRuns, development_runs
from tune_metalr.ledger import Ledger
from tune_metalr.store import Location


def print_development(folder: Location, console: Console, *, prefix: str = "") -> None:
    """Print how many recorded trials are development runs; nothing if none is.

    Args:
        folder: Of one study's results.
        console: To print on.
        prefix: Names the ledger, where there are two.

    Raises:
        UserError: The folder holds no results, or a file of them is damaged.
    """
    ledger = Ledger(folder)
    recorded = ledger.trials(COLUMNS).table.select(COLUMNS).to_pylist()
    current = {
        *ledger.wanted()["trial_id"].to_pylist(),
        *ledger.current_proposals()["trial_id"].to_pylist(),
    }
    if runs := development_runs(recorded, current):
        console.print(f"{prefix}{_line(runs)}", soft_wrap=True)


def _line(runs: list[DevelopmentRuns]) -> str:
    recorded, development, superseded = (
        sum(getattr(each, name) for each in runs)
        for name in ("recorded", "development", "superseded")
    )
    earlier = f" ({superseded} of earlier revisions of the study or its methods)"
    return (
        f"Development: {development} of {recorded} recorded trials on "
        f"{', '.join(each.workload for each in runs)} were run while a method was being designed"
        f"{earlier if superseded else ''}."
    )
