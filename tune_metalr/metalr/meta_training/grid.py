"""The oracle grid: how well a task ends with each setting. Finished cells are never run again."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tune_metalr.metalr.meta_training.run import Setting, train
from tune_metalr.metalr.meta_training.task import Task, split_of
from tune_metalr.metalr.prior import Family

CONSTANT = -1.0
"""The warm-up fraction that stands for a rate that never changes."""


class Axes(NamedTuple):
    """What the grid tries for a family. The first value of the last two is the base."""

    rates: tuple[float, ...]
    warmup_fractions: tuple[float, ...]
    weight_decays: tuple[float, ...]
    middle_rates: tuple[float, ...]
    """Where values other than the base are tried."""


AXES = {
    Family.ADAM: Axes(
        rates=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2),
        warmup_fractions=(0.25, 0.05),
        weight_decays=(0.1, 0.01, 0.3),
        middle_rates=(2e-3, 4e-3, 8e-3),
    ),
    Family.SGD_MOMENTUM: Axes(
        rates=(0.12, 0.3, 0.75, 1.5, 3.0, 6.0, 12.0),
        warmup_fractions=(0.25, 0.05),
        weight_decays=(5e-4, 0.0, 5e-3),
        middle_rates=(0.75, 1.5, 3.0),
    ),
}

USUAL = Setting(rate=1e-3, warmup_fraction=CONSTANT, weight_decay=0.01)
"""AdamW as torch has it, at a constant rate: what a user who tunes nothing runs."""

LONG_STEPS = 1000
"""Longer horizons have one seed, and rates alone: they would cost most of the time."""


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
    accuracy: float
    loss_nats: float
    diverged: bool
    seconds: float


def planned(tasks: tuple[Task, ...], num_seeds: int = 2) -> Iterator[tuple[Task, Cell]]:
    """Yield every cell; what matters most comes first, because time may be up before the end."""
    horizons = sorted({steps for task in tasks for steps in task.horizons_steps})
    short, middle = horizons[:1], [steps for steps in horizons[1:] if steps <= LONG_STEPS]
    every_seed = [(steps, seed) for seed in range(num_seeds) for steps in short]
    every_seed += [(steps, seed) for seed in range(num_seeds) for steps in middle]
    long = [(steps, 0) for steps in horizons if steps > LONG_STEPS]
    before = num_seeds * len(short) + len(middle)
    for steps, seed in every_seed[:before] + long + every_seed[before:]:
        for task in tasks:
            if steps in task.horizons_steps:
                yield from ((task, cell) for cell in _cells(task.name, steps, seed))


def _cells(task: str, steps: int, seed: int) -> Iterator[Cell]:
    for family in Family:
        for setting in settings(family, is_long=steps > LONG_STEPS):
            yield Cell(task, steps, family.value, *setting, seed)


def settings(family: Family, *, is_long: bool) -> Iterator[Setting]:
    """Yield a family's settings: rates at the base, other warm-ups, other decays, the usual."""
    axes = AXES[family]
    base_warmup, base_decay = axes.warmup_fractions[0], axes.weight_decays[0]
    yield from (Setting(rate, base_warmup, base_decay) for rate in axes.rates)
    if not is_long:
        for rate in axes.middle_rates:
            yield from (Setting(rate, warmup, base_decay) for warmup in axes.warmup_fractions[1:])
            yield from (Setting(rate, base_warmup, decay) for decay in axes.weight_decays[1:])
    if family is Family.ADAM:
        yield USUAL


def run_grid(
    tasks: tuple[Task, ...], file: Path, *, num_seeds: int = 2, limit_seconds: float
) -> list[Outcome]:
    """Run the cells that `file` does not hold, until time is up; return all that it holds then."""
    outcomes = read(file)
    finished = {outcome.cell for outcome in outcomes}
    splits = {task.name: split_of(task) for task in tasks}
    end = time.monotonic() + limit_seconds
    for task, cell in planned(tasks, num_seeds):
        if cell in finished:
            continue
        if time.monotonic() > end:
            break
        start = time.monotonic()
        score = train(
            task,
            splits[task.name],
            Family(cell.family),
            steps=cell.steps,
            setting=Setting(cell.rate, cell.warmup_fraction, cell.weight_decay),
            seed=cell.seed,
        )
        outcomes.append(Outcome(cell, *score, time.monotonic() - start))
        _append(file, outcomes[-1])
    return outcomes


def read(file: Path) -> list[Outcome]:
    """Return the cells of a file of JSON lines, which may not exist or end in half a line."""
    if not file.exists():
        return []
    complete = file.read_text().rpartition("\n")[0].splitlines()
    rows = [json.loads(line) for line in complete]
    return [Outcome(Cell(**row.pop("cell")), **row) for row in rows]


def _append(file: Path, outcome: Outcome) -> None:
    row = outcome._asdict() | {"cell": outcome.cell._asdict()}
    if file.exists() and not (text := file.read_bytes()).endswith(b"\n"):
        # A run that was killed left half a line.
        file.write_bytes(text[: text.rfind(b"\n") + 1])
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
