"""When a method that was itself trained has paid for that, in tasks that nobody tunes for."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console

from analysis.catching_up import CatchingUp
from analysis.matching import NEVER
from analysis.tunability import break_even_tasks
from tune_metalr.methods import meta_training_seconds

_HOUR_SECONDS = 3600.0


def print_break_even(
    rows: Sequence[CatchingUp],
    controllers: Mapping[str, str],
    run_seconds: Mapping[tuple[str, str], float | None],
    console: Console,
) -> None:
    """Say what the training of methods has cost, and after how many tasks it has paid.

    Args:
        rows: What tuning catches up with.
        controllers: Of the untuned methods, where they are known.
        run_seconds: Device-seconds of one run, by workload and method.
        console: To print on.
    """
    for method in dict.fromkeys(row.method for row in rows):
        seconds = meta_training_seconds(controllers.get(method, ""))
        if seconds is None:
            continue
        told = [
            f"{row.baseline.workload} against '{row.baseline.label}': {tasks}"
            for row in rows
            if row.method == method
            and (tasks := _tasks(row, seconds, run_seconds[row.baseline.workload, method]))
        ]
        console.print(
            f"'{method}' was itself trained, once, for {seconds / _HOUR_SECONDS:.2f} CPU-hours. "
            + ("Tasks after which that has paid: " + "; ".join(told) + "." if told else "")
        )


def _tasks(row: CatchingUp, meta_seconds: float, run_seconds: float | None) -> str | None:
    """Return the number of tasks; `None` where the costs that are known do not tell it."""
    match = row.device_seconds
    if match is None or run_seconds is None:
        return None
    is_never = match.budget == NEVER
    tuning_seconds = match.within if is_never else match.budget
    tasks = break_even_tasks(
        meta_cost=meta_seconds, tuning_cost=tuning_seconds, run_cost=run_seconds
    )
    if math.isinf(tasks):
        # A search that has not matched yet costs more than it did so far: it may still pay.
        return None if is_never else "never"
    return f"{'at most ' * is_never}{math.ceil(tasks)}"
