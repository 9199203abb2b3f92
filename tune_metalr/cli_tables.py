"""The tables that commands print."""

import math
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tune_metalr.errors import UserError
from tune_metalr.methods import CONTROLLERS, OPTIMIZERS, SCHEDULES
from tune_metalr.methods.presets import PRESETS
from tune_metalr.plan import Plan
from tune_metalr.proposals import SAMPLERS
from tune_metalr.status import MISSING, SUPERSEDED, StudyStatus
from tune_metalr.trial import Status
from tune_metalr.workloads import WORKLOADS

_MAX_REASONS = 5


def plain_console() -> Console:
    """Return a console that shows text as it is: a method may be called `[b]`."""
    return Console(markup=False, highlight=False)


def check_analysis() -> None:
    """Make sure that `analysis` is this project's own package.

    Raises:
        UserError: Another package of that name comes first.
    """
    import analysis
    import tune_metalr

    found = Path(analysis.__file__ or "").parent
    if found != Path(tune_metalr.__file__).parents[1] / "analysis":
        raise UserError(
            f"another package called 'analysis' ({found}) hides ours; run from another folder or "
            f"remove it from PYTHONPATH"
        )


def print_summary(folder: Path, console: Console) -> None:
    """Print each method's scores, and what to look at next."""
    from analysis.load import load_trials
    from analysis.summary import summarize

    rows = summarize(load_trials(folder)).to_dict("records")
    troubles = [n for n in ("diverged", "failed", "missing") if any(row[n] for row in rows)]
    table = _table(["workload", "method"], ["completed", *troubles, "test accuracy", "train s"])
    for row in rows:
        mean, deviation = row["test_accuracy_mean"], row["test_accuracy_sd"]
        table.add_row(
            row["workload"],
            row["method"],
            f"{row['completed']} of {row['wanted']}",
            *(str(row[name] or "") for name in troubles),
            f"{_fixed(100 * mean)} ± {_fixed(100 * deviation)} %" if row["completed"] else "",
            _fixed(row["train_seconds_mean"]),
        )
    console.print(table)
    console.print("Mean and standard deviation over completed trials, one per seed.")
    console.print(
        f"Look next: tune-metalr status {folder}; in Python, "
        f"analysis.load.load_trials('{folder}') gives every trial and its curves.",
        soft_wrap=True,
    )


def print_status(status: StudyStatus, command: str, console: Console) -> None:
    """Print each cell's counts, the reasons of failures, and the command that goes on."""
    kinds = [*Status, MISSING, SUPERSEDED]
    shown = [Status.COMPLETED, *(k for k in kinds[1:] if any(c.counts[k] for c in status.cells))]
    table = _table(["workload", "method"], [*("done" if k == "completed" else k for k in shown)])
    table.add_column("of", justify="right")
    for cell in status.cells:
        numbers = (str(cell.counts[kind] or "") for kind in shown)
        table.add_row(cell.workload, cell.method, *numbers, str(cell.wanted))
    console.print(table)
    for failure in status.failures[:_MAX_REASONS]:
        console.print(
            f"{failure.num_trials} failed, '{failure.method}' first: {failure.reason}",
            soft_wrap=True,
            markup=False,
        )
    for reason in status.damaged.values():
        console.print(f"Damaged: {reason}", soft_wrap=True, markup=False)
    if status.num_without_result:
        console.print(
            f"{status.num_without_result} of {status.num_wanted} trials have no result. "
            f"To complete: {command}",
            soft_wrap=True,
            markup=False,
        )
    else:
        console.print(f"Complete: all {status.num_wanted} trials have a result.")


def print_plan(plan: Plan, num_seeds: int, console: Console) -> None:
    """Print what a study costs and can show."""
    for role, count in plan.trials_by_role.items():
        console.print(f"trials ({role}): {count:,}")
    console.print(f"gradient steps: {plan.gradient_steps:,}")
    console.print(f"time here, {plan.slots} trials at once: about {_duration(plan.hours)}")
    console.print(
        f"smallest p-value that {num_seeds} paired seeds can reach over "
        f"{plan.num_comparisons} comparisons (sign-flip test, Holm): {plan.smallest_p_value:.2g}",
        soft_wrap=True,
    )


def print_workloads(console: Console) -> None:
    """Print the workloads that a study can name."""
    table = _table(["workload", "data"], ["classes", "target accuracy"])
    table.add_column("target's origin")
    for workload in WORKLOADS.values():
        source = workload.source
        table.add_row(
            workload.name,
            source.location or "bundled with scikit-learn",
            str(source.num_classes),
            _percent(workload.target_accuracy),
            workload.target_origin,
        )
    console.print(table)


def print_methods(console: Console) -> None:
    """Print optimizers with their keywords, schedules with theirs, presets and controllers."""
    table = _table(["kind", "name", "what it is"], [])
    for name, optimizer in OPTIMIZERS.items():
        keywords = ", ".join(sorted(optimizer.keywords))
        table.add_row("optimizer", name, f"{optimizer.path}: {keywords}")
    table.add_row("optimizer", "package.module.Class", "any torch.optim.Optimizer")
    for name, schedule in SCHEDULES.items():
        settings = ", ".join(f"{key} {s.default:g}" for key, s in schedule.settings.items())
        table.add_row("schedule", name, schedule.meaning + (f": {settings}" if settings else ""))
    for name, preset in PRESETS.items():
        values = ", ".join(f"{key} {value}" for key, value in preset.settings.items())
        table.add_row("preset", name, f"{preset.origin}: {values}")
    for name, controller in CONTROLLERS.items():
        table.add_row("controller", name, controller.meaning)
    console.print(table)


def print_samplers(console: Console) -> None:
    """Print the samplers that a search can name."""
    table = _table(["sampler", "what it is"], [])
    for name, meaning in SAMPLERS.items():
        table.add_row(name, meaning)
    console.print(table)


def _table(texts: Iterable[str], numbers: Iterable[str]) -> Table:
    table = Table()
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _fixed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"
