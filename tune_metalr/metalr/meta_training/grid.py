"""The oracle grid: how well a task ends with each setting. Finished cells are never run again."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.journal import journal, read_journal
from tune_metalr.metalr.meta_training.processes import Processes
from tune_metalr.metalr.meta_training.run import Setting, train
from tune_metalr.metalr.meta_training.task import Task, split_of
from tune_metalr.metalr.meta_training.variation import LONG_STEPS
from tune_metalr.metalr.meta_training.watch import Watch
from tune_metalr.metalr.prior import Family

CONSTANT = -1.0
"""The warm-up fraction that stands for a rate that never changes."""


class Axes(NamedTuple):
    """What the grid tries for a family. The first warm-up and the first decay are the base."""

    rates: tuple[float, ...]
    full_warmups: tuple[float, ...]
    """Fractions of a run that are tried at every rate."""
    middle_warmups: tuple[float, ...]
    """Further ones, tried at the middle rates."""
    weight_decays: tuple[float, ...]
    middle_rates: tuple[float, ...]
    """Where decays other than the base are tried: around what laws have come to."""

    @property
    def warmup_fractions(self) -> tuple[float, ...]:
        """Return all fractions."""
        return self.full_warmups + self.middle_warmups


AXES = {
    Family.ADAM: Axes(
        rates=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2),
        full_warmups=(0.25, 0.5),
        middle_warmups=(0.1,),
        weight_decays=(0.3, 0.03, 1.0, 3.0),
        middle_rates=(2e-3, 8e-3, 3.2e-2),
    ),
    Family.SGD_MOMENTUM: Axes(
        rates=(0.02, 0.05, 0.12, 0.3, 0.75, 1.5, 3.0, 6.0, 12.0),
        full_warmups=(0.25, 0.5),
        middle_warmups=(0.1,),
        weight_decays=(5e-4, 0.0, 5e-3),
        middle_rates=(0.3, 0.75, 1.5),
    ),
}

USUAL = Setting(rate=1e-3, warmup_fraction=CONSTANT, weight_decay=0.01)
"""AdamW as torch has it, at a constant rate: what a user who tunes nothing runs."""


class Cell(NamedTuple):
    """One run of the grid."""

    task: str
    steps: int
    family: str
    rate: float
    warmup_fraction: float
    weight_decay: float
    seed: int


class Outcome(NamedTuple):
    """A cell that was run."""

    cell: Cell
    score: float
    loss: float
    diverged: bool
    seconds: float
    """Of the processor; a run has one thread."""
    features: list[list[float | None] | None]
    """What looks have shown within each sixteenth of the run; the table is without."""


def planned(tasks: Iterable[Task], seeds: Sequence[int] = (0, 1)) -> Iterator[tuple[Task, Cell]]:
    """Yield every cell; what matters most comes first, because time may be up before the end.

    Long horizons have one seed, and one decay: they would cost most of the time.
    """
    tasks = tuple(tasks)
    for seed in seeds:
        yield from _cells((task for task in tasks if not is_long(task)), seed, is_long=False)
        if seed == seeds[0]:
            yield from _cells(filter(is_long, tasks), seed, is_long=True)


def is_long(task: Task) -> bool:
    """Return whether the horizon of a task is one of the long ones."""
    return task.steps >= LONG_STEPS[0]


def _cells(tasks: Iterable[Task], seed: int, *, is_long: bool) -> Iterator[tuple[Task, Cell]]:
    for task in tasks:
        for family in Family:
            for setting in settings(family, is_long=is_long):
                yield task, Cell(task.name, task.steps, family.value, *setting, seed)


def settings(family: Family, *, is_long: bool) -> Iterator[Setting]:
    """Yield a family's settings: rates with each warm-up, other decays, the usual."""
    axes = AXES[family]
    base_warmup, base_decay = axes.warmup_fractions[0], axes.weight_decays[0]
    # A longer warm-up bears higher rates: its gain is another at each rate.
    for warmup in axes.full_warmups:
        yield from (Setting(rate, warmup, base_decay) for rate in axes.rates)
    for warmup in axes.middle_warmups:
        yield from (Setting(rate, warmup, base_decay) for rate in axes.middle_rates)
    if not is_long:
        for rate in axes.middle_rates:
            yield from (Setting(rate, base_warmup, decay) for decay in axes.weight_decays[1:])
    if family is Family.ADAM:
        yield USUAL


def run_grid(
    tasks: Iterable[Task],
    file: Path,
    *,
    seeds: Sequence[int] = (0, 1),
    processes: Processes,
    end: float = math.inf,
) -> list[Outcome]:
    """Run the cells that `file` does not hold, until `end`; return all that it holds then.

    What is running at the end (monotonic seconds) is finished first.
    """
    outcomes = read(file)
    finished = {outcome.cell for outcome in outcomes}
    wanted = [(task, cell) for task, cell in planned(tasks, seeds) if cell not in finished]
    with journal(file) as write:
        for outcome in processes.map_until(end, run_cell, wanted):
            outcomes.append(outcome)
            write(outcome._asdict() | {"cell": outcome.cell._asdict()})
    return outcomes


def run_cell(task: Task, cell: Cell) -> Outcome:
    """Run one cell."""
    start = time.process_time()
    watch = Watch(task.steps)
    score = train(
        task,
        split_of(task),
        Family(cell.family),
        setting=Setting(cell.rate, cell.warmup_fraction, cell.weight_decay),
        seed=cell.seed,
        watch=watch,
    )
    seconds = time.process_time() - start
    return Outcome(cell, *score, seconds, [seen and _rounded(seen) for seen in watch.features])


def _rounded(features: Features) -> list[float | None]:
    """Return what tells runs apart; `None` for what is no number, which JSON has not."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in features]


def read(file: Path) -> list[Outcome]:
    """Return the cells that a file holds."""
    return [Outcome(Cell(**row.pop("cell")), **row) for row in read_journal(file)]
