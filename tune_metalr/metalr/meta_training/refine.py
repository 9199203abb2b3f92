"""Refines a law by whole runs: CMA-ES over its numbers (Hansen 2016, arXiv 1604.00772).

The grid tries few warm-ups and decays, and takes what they add to sum up; here every candidate is
trained. All candidates of a generation are trained on the same tasks with the same seed, another
one in each generation, so that luck cancels within it and is not learned over them.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cmaes import CMA

from tune_metalr.metalr.meta_training.journal import journal, read_journal
from tune_metalr.metalr.meta_training.processes import Processes
from tune_metalr.metalr.meta_training.run import Setting, train
from tune_metalr.metalr.meta_training.surface import REGRET_CAP, Array, Surface
from tune_metalr.metalr.meta_training.task import Task, split_of
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.seeds import derive_seed

_DEVIATION = 0.3
"""Of the first generation, in the units below."""

_LEAST_DECAY = 1e-3
_FIRST_SEED = 1000
"""The grid has used lower ones."""


class Search(NamedTuple):
    """How a law is refined."""

    generations: int = 8
    population: int = 8
    tasks_of_a_family: int = 1
    """In a generation, drawn anew for each."""
    has_width: bool = True
    """Whether the law may look at the width; not where left-out families lose by that."""
    seed: int = 0


class Regret(NamedTuple):
    """Of one run."""

    regret: float
    """At most 1."""
    seconds: float


class Generation(NamedTuple):
    """A finished one."""

    regrets: list[float]
    """Of each candidate, mean over the generation's tasks."""
    seconds: float
    """Of all its runs together."""


class Refined(NamedTuple):
    """How far a search has come."""

    law: Prior
    """The centre of the last finished generation."""
    generations: list[Generation]


def refine(
    law: Prior,
    family: Family,
    tasks: Sequence[Task],
    surfaces: Mapping[str, Surface],
    *,
    how: Search,
    processes: Processes,
    log: Path,
    is_time_up: Callable[[], bool] = lambda: False,
) -> Refined:
    """Return where the search has come to; go on where `log` ends.

    Args:
        law: Where the search begins.
        family: Of optimizers.
        tasks: What candidates are trained on; each has a surface.
        surfaces: The grid's, by the task's name: they say what a regret is.
        how: The size of the search, and what it may change.
        processes: Where runs are made.
        log: Of finished generations, a line each.
        is_time_up: Asked before each generation.
    """
    search = CMA(
        mean=_vector(law, has_width=how.has_width),
        sigma=_DEVIATION,
        population_size=how.population,
        seed=derive_seed("refine", family.value, how.seed) % 2**31,
    )
    told = [Generation(*row) for row in read_journal(log)]
    with journal(log) as write:
        for number in range(how.generations):
            candidates = [search.ask() for _ in range(how.population)]
            if number >= len(told):
                if is_time_up():
                    break
                laws = [law_of(candidate) for candidate in candidates]
                told.append(_trained(laws, family, tasks, surfaces, number, how, processes))
                write(told[-1])
            search.tell(list(zip(candidates, told[number].regrets, strict=True)))
    return Refined(law_of(search.mean), told)


def run_regret(task: Task, surface: Surface, family: Family, law: Prior, seed: int) -> Regret:
    """Train a task as a law has it."""
    start = time.process_time()
    setting = Setting(surface.peak_rate(law), law.warmup_fraction, law.weight_decay)
    found = train(task, split_of(task), family, setting=setting, seed=seed)
    regret = (surface.best - found.score) / surface.to_win
    return Regret(min(REGRET_CAP, regret), time.process_time() - start)


def law_of(vector: Array) -> Prior:
    """Return the law of a point of the search; warm-up and exponents stay within their ranges.

    Args:
        vector: Log of the rate, power of the steps, warm-up, log of the decay; power of the width
            where it is searched.
    """
    log_rate, of_steps, warmup, log_decay, *of_width = vector
    return Prior(
        rate_at_1000_steps=float(f"{math.exp(log_rate):.3g}"),
        rate_exponent=round(float(np.clip(of_steps, -0.5, 0.0)), 3),
        warmup_fraction=round(float(np.clip(warmup, 0.02, 0.8)), 3),
        weight_decay=float(f"{max(0.0, math.exp(log_decay) - _LEAST_DECAY):.3g}"),
        width_exponent=round(float(np.clip(sum(of_width), -1.0, 0.0)), 3),
    )


def _vector(law: Prior, *, has_width: bool) -> Array:
    decay = math.log(law.weight_decay + _LEAST_DECAY)
    rate = math.log(law.rate_at_1000_steps)
    numbers = [rate, law.rate_exponent, law.warmup_fraction, decay]
    return np.array([*numbers, law.width_exponent] if has_width else numbers)


def _trained(
    laws: Sequence[Prior],
    family: Family,
    tasks: Sequence[Task],
    surfaces: Mapping[str, Surface],
    number: int,
    how: Search,
    processes: Processes,
) -> Generation:
    """Train each law on the tasks of one generation."""
    drawn = _drawn(tasks, how, number)
    seed = _FIRST_SEED * (1 + how.seed) + number
    work = [(task, surfaces[task.name], family, law, seed) for law in laws for task in drawn]
    found = list(processes.map_until(math.inf, run_regret, work))
    regrets = np.array([run.regret for run in found]).reshape(len(laws), -1)
    return Generation(regrets.mean(axis=1).tolist(), sum(run.seconds for run in found))


def _drawn(tasks: Sequence[Task], how: Search, number: int) -> list[Task]:
    """Return tasks of every family alike: a law that suits one of them is not what is sought."""
    stream = np.random.default_rng(derive_seed("refine", "tasks", how.seed, number))
    drawn: list[Task] = []
    for name in dict.fromkeys(task.family for task in tasks):
        there = [task for task in tasks if task.family == name]
        count = min(how.tasks_of_a_family, len(there))
        drawn += [there[place] for place in stream.choice(len(there), size=count, replace=False)]
    return drawn
