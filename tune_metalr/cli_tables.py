"""The tables that commands print."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tune_metalr.methods import AVERAGING, CONTROLLERS, DEFAULT_LR, OPTIMIZERS, SCHEDULES
from tune_metalr.methods.presets import PRESETS
from tune_metalr.plan import Plan
from tune_metalr.proposals import SAMPLERS
from tune_metalr.status import SUPERSEDED, StudyStatus
from tune_metalr.trial import MISSING, Status
from tune_metalr.workloads import WORKLOADS

_MAX_REASONS = 5
_COLUMNS = 100


def plain_console() -> Console:
    """Return a console that shows text as it is: a method may be called `[b]`.

    Into a file or a pipe, lines are 100 columns wide.
    """
    console = Console(markup=False, highlight=False)
    return (
        console if console.is_terminal else Console(markup=False, highlight=False, width=_COLUMNS)
    )


@contextmanager
def timing_progress() -> Iterator[Callable[[int, int], None]]:
    """Show on the terminal, if there is one, how far a plan's timing is; yield what is told."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("Timing kinds of trials", total=None)
        yield lambda done, of: bars.update(bar, completed=done, total=of)


def table(texts: Iterable[str], numbers: Iterable[str]) -> Table:
    """Return an empty table whose columns hold texts, then numbers."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title_justify="left")
    for name in texts:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", overflow="fold")
    return made


def print_status(status: StudyStatus, command: str, console: Console) -> None:
    """Print each cell's counts, the reasons of failures, and the command that goes on."""
    kinds = [*Status, MISSING, SUPERSEDED]
    shown = [Status.COMPLETED, *(k for k in kinds[1:] if any(c.counts[k] for c in status.cells))]
    rows = table(["workload", "method"], [*("done" if k == "completed" else k for k in shown)])
    rows.add_column("of", justify="right")
    for cell in status.cells:
        numbers = (str(cell.counts[kind] or "") for kind in shown)
        rows.add_row(cell.workload, cell.method, *numbers, str(cell.wanted))
    console.print(rows)
    for failure in status.failures[:_MAX_REASONS]:
        console.print(
            f"{failure.num_trials} failed, '{failure.method}' first: {failure.reason}",
            soft_wrap=True,
            markup=False,
        )
    if status.num_settled:
        console.print(
            f"{status.num_settled} failed trials of searches stay as they are: what was proposed "
            f"after them rests on their failure.",
            soft_wrap=True,
        )
    for note in status.edge_notes:
        console.print(f"At the edge: {note}.", soft_wrap=True, markup=False)
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
        but = f" but {status.num_settled}" if status.num_settled else ""
        console.print(f"Complete: all {status.num_wanted} trials{but} have a result.")


def print_plan(plan: Plan, console: Console) -> None:
    """Print what a study costs and can show."""
    for role, count in plan.trials_by_role.items():
        console.print(f"trials ({role}): {count:,}")
    console.print(f"gradient steps: {plan.gradient_steps:,}")
    console.print(f"time here, {plan.slots} trials at once: about {_duration(plan.hours)}")
    if plan.num_comparisons:
        console.print(_smallest_p_values(plan), soft_wrap=True)
    for note in plan.notes:
        console.print(note, soft_wrap=True, markup=False)


def _smallest_p_values(plan: Plan) -> str:
    """Return what the pairs of seeds can show; most methods may have fewer of them than some."""
    (fewest, most), (of_fewest, of_most) = plan.num_pairs, plan.smallest_p_values
    told = (
        f"smallest p-value that {fewest} paired seeds can reach over {plan.num_comparisons} "
        f"comparisons (sign-flip test, Holm): {of_fewest:.2g}"
    )
    return told if fewest == most else f"{told}; that {most} can reach: {of_most:.2g}"


def print_workloads(console: Console) -> None:
    """Print the workloads that a study can name."""
    rows = table(["workload", "data"], ["classes", "target accuracy"])
    rows.add_column("target's origin")
    for workload in WORKLOADS.values():
        source = workload.source
        rows.add_row(
            workload.name,
            source.location or "bundled with scikit-learn",
            str(source.num_classes),
            _percent(workload.target_accuracy),
            workload.target_origin,
        )
    console.print(rows)


def print_methods(console: Console) -> None:
    """Print optimizers with their keywords, schedules with theirs, presets and controllers."""
    rows = table(["kind", "name", "what it is"], [])
    for name, optimizer in OPTIMIZERS.items():
        keywords = ", ".join(sorted(optimizer.keywords))
        rows.add_row("optimizer", name, f"{optimizer.path}: {keywords}")
    rows.add_row("optimizer", "package.module.Class", "any torch.optim.Optimizer")
    for name, schedule in SCHEDULES.items():
        settings = ", ".join(f"{key} {_shown(s.default)}" for key, s in schedule.settings.items())
        rows.add_row("schedule", name, schedule.meaning + (f": {settings}" if settings else ""))
    rows.add_row("setting", "averaging: true", AVERAGING.meaning)
    for name, preset in PRESETS.items():
        values = ", ".join(f"{key} {value}" for key, value in preset.settings.items())
        rows.add_row("preset", name, f"{preset.origin}: {values}")
    for name, controller in CONTROLLERS.items():
        rows.add_row("controller", name, controller.meaning)
    console.print(rows)
    taking = ", ".join(f"'{name}'" for name, known in CONTROLLERS.items() if not known.sets_rate)
    console.print(
        f"Controllers other than {taking} set the rate of each step: they take no schedule, and "
        f"need no lr. Those that begin at a rate begin at lr, or else at {DEFAULT_LR:g}."
    )


def print_samplers(console: Console) -> None:
    """Print the samplers that a search can name."""
    rows = table(["sampler", "what it is"], [])
    for name, meaning in SAMPLERS.items():
        rows.add_row(name, meaning)
    rows.add_row("package.module.Class", "any Optuna sampler, any Ray Tune searcher")
    console.print(rows)


def _shown(default: float | tuple[float, ...]) -> str:
    """Return a setting's default as a study writes it."""
    if isinstance(default, tuple):
        return f"[{', '.join(f'{value:g}' for value in default)}]"
    return f"{default:g}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"
