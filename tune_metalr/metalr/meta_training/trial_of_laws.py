"""Which of two laws is better: both are trained on every task, with seeds that neither has seen."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tune_metalr.metalr.meta_training.journal import journal, read_journal
from tune_metalr.metalr.meta_training.processes import Processes
from tune_metalr.metalr.meta_training.refine import Regret, run_regret
from tune_metalr.metalr.meta_training.surface import Surface
from tune_metalr.metalr.meta_training.task import Task
from tune_metalr.metalr.meta_training.verdict import Gain, interval
from tune_metalr.metalr.prior import Family, Prior


class Law(StrEnum):
    """Where a law comes from."""

    GRID = "grid"
    """The fit to the oracle grid."""
    REFINED = "refined"
    """What CMA-ES has made of it."""
    OTHER = "other"
    """What another training has found."""
    FOUND = "found"
    """What this one has."""


class Key(NamedTuple):
    """One run."""

    task: str
    law: Law
    seed: int


class Trial(NamedTuple):
    """What has been run."""

    runs: Mapping[Key, Regret]
    gain: Gain | None
    """What the second law saves, over families of tasks; `None` until all has been run."""

    @property
    def pays(self) -> bool:
        """Whether the second law is better for certain."""
        return self.gain is not None and self.gain.pays


def try_laws(
    laws: Mapping[Law, Prior],
    family: Family,
    tasks: Sequence[Task],
    surfaces: Mapping[str, Surface],
    *,
    seeds: Sequence[int],
    processes: Processes,
    log: Path,
    end: float,
) -> Trial:
    """Run what `log` does not hold, until `end` (monotonic seconds).

    Args:
        laws: Both; what the second one saves over the first is told.
        family: Of optimizers.
        tasks: All families of them; each has a surface.
        surfaces: The grid's, by the task's name: they say what a regret is.
        seeds: Others than those of the grid and of the search.
        processes: Where runs are made.
        log: A line for each finished run.
        end: No run begins later.
    """
    rows = read_journal(log)
    runs = {Key(task, Law(law), seed): Regret(*found) for task, law, seed, *found in rows}
    by_name = {task.name: task for task in tasks}
    wanted = [Key(name, law, seed) for seed in seeds for name in by_name for law in laws]
    left = [key for key in wanted if key not in runs]
    work = [
        (by_name[key.task], surfaces[key.task], family, laws[key.law], key.seed) for key in left
    ]
    with journal(log) as write:
        for key, found in zip(left, processes.map_until(end, run_regret, work), strict=False):
            runs[key] = found
            write([*key, *found])
    complete = all(key in runs for key in wanted)
    return Trial(runs, _gain(runs, tasks, seeds, *laws) if complete else None)


def _gain(
    runs: Mapping[Key, Regret], tasks: Sequence[Task], seeds: Sequence[int], first: Law, second: Law
) -> Gain:
    """Return the mean over families of tasks, with its interval: tasks of one are alike."""
    saved: dict[str, list[float]] = {}
    for task in tasks:
        saved.setdefault(task.family, []).extend(
            runs[Key(task.name, first, seed)].regret - runs[Key(task.name, second, seed)].regret
            for seed in seeds
        )
    return interval([float(np.mean(some)) for some in saved.values()])
