"""What each part of MetaLR is worth, on families of tasks that it has not learned from.

Every arm trains the same networks on the same batches, with its parts added one by one: the prior
alone, the probe, the guard, the residual, the online update, the average of the last tenth of the
weights. Laws and residuals are those that were learned without the family they are tried on.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tune_metalr.controller import LearningRateController
from tune_metalr.metalr.meta_training.evaluate import run_controller
from tune_metalr.metalr.meta_training.journal import journal, read_journal
from tune_metalr.metalr.meta_training.learn import Parts
from tune_metalr.metalr.meta_training.online import OnlineMetaLR
from tune_metalr.metalr.meta_training.processes import Processes
from tune_metalr.metalr.meta_training.surface import REGRET_CAP, Surface
from tune_metalr.metalr.meta_training.task import Task, split_of
from tune_metalr.metalr.meta_training.unguarded import UnguardedMetaLR
from tune_metalr.metalr.meta_training.verdict import Gain, interval
from tune_metalr.metalr.metalr import MetaLR
from tune_metalr.metalr.prior import Family
from tune_metalr.metalr.prior_controller import PriorController

TAIL = 0.1


class Arm(StrEnum):
    """MetaLR up to one of its parts; each has those before it."""

    PRIOR = "prior"
    PROBE = "probe"
    GUARD = "guard"
    RESIDUAL = "residual"
    ONLINE = "online"
    AVERAGING = "averaging"


class Run(NamedTuple):
    """One run of the ablation."""

    task: str
    family: str
    arm: str
    seed: int


class Result(NamedTuple):
    """How it ended."""

    run: Run
    regret: float
    seconds: float


def make_controller(
    arm: Arm, parts: Parts, optimizer: torch.optim.Optimizer, total_steps: int
) -> LearningRateController:
    """Return the controller of an arm."""
    if arm is Arm.PRIOR:
        return PriorController(optimizer, total_steps, prior=parts.law)
    if arm is Arm.PROBE:
        return UnguardedMetaLR(optimizer, total_steps, prior=parts.law)
    if arm is Arm.GUARD:
        return MetaLR(optimizer, total_steps, prior=parts.law)
    if arm in (Arm.ONLINE, Arm.AVERAGING):
        return OnlineMetaLR(optimizer, total_steps, prior=parts.law, residual=parts.residual)
    return MetaLR(optimizer, total_steps, prior=parts.law, residual=parts.residual)


def ablate(
    tasks: Iterable[Task],
    surfaces: Mapping[str, Surface],
    parts: Mapping[str, Parts],
    family: Family,
    *,
    seeds: Sequence[int],
    processes: Processes,
    log: Path,
    end: float,
) -> list[Result]:
    """Run what `log` does not hold, until `end` (monotonic seconds); return all results.

    Args:
        tasks: All families of them.
        surfaces: The grid's, by the task's name: they say what a regret is.
        parts: For each family of tasks, what was learned without it.
        family: Of optimizers.
        seeds: Others than those of the grid.
        processes: Where runs are made.
        log: A line for each finished run.
        end: No run begins later.
    """
    rows = read_journal(log)
    results = [Result(Run(*run), regret, seconds) for *run, regret, seconds in rows]
    finished = {result.run for result in results}
    work = [
        (task, surfaces[task.name], parts[task.family], run)
        for seed in seeds
        for task in tasks
        for arm in Arm
        for run in [Run(task.name, family.value, arm.value, seed)]
        if run not in finished
    ]
    with journal(log) as write:
        for result in processes.map_until(end, run_arm, work):
            results.append(result)
            write([*result.run, *result[1:]])
    return results


def gains(results: Iterable[Result], task_families: Mapping[str, str]) -> dict[Arm, Gain]:
    """Return what each part saves in regret over the parts before it, with its interval.

    Families of tasks count equally, and the interval is over them.
    """
    return _gains(results, task_families, zip(list(Arm)[1:], Arm, strict=False))


def gains_over_prior(
    results: Iterable[Result], task_families: Mapping[str, str]
) -> dict[Arm, Gain]:
    """Return what MetaLR up to each part saves in regret over the prior alone; see `gains`."""
    return _gains(results, task_families, ((arm, Arm.PRIOR) for arm in list(Arm)[1:]))


def _gains(
    results: Iterable[Result],
    task_families: Mapping[str, str],
    pairs: Iterable[tuple[Arm, Arm]],
) -> dict[Arm, Gain]:
    """Return what the first arm of each pair saves over the second."""
    regrets = {result.run: result.regret for result in results}
    told = {}
    for arm, other in pairs:
        saved: dict[str, list[float]] = {}
        for run, regret in regrets.items():
            others = regrets.get(run._replace(arm=other.value))
            if run.arm == arm and others is not None:
                saved.setdefault(task_families[run.task], []).append(others - regret)
        if len(saved) > 1:
            told[arm] = interval([float(np.mean(some)) for some in saved.values()])
    return told


def run_arm(task: Task, surface: Surface, parts: Parts, run: Run) -> Result:
    """Run one arm on one task with one seed."""
    start = time.process_time()
    found = run_controller(
        task,
        split_of(task),
        Family(run.family),
        seed=run.seed,
        make_controller=partial(make_controller, Arm(run.arm), parts),
        averaged_share=TAIL if run.arm == Arm.AVERAGING else 0.0,
    )
    regret = (surface.best - found.score) / surface.to_win
    capped = min(REGRET_CAP, regret) if math.isfinite(regret) else REGRET_CAP
    return Result(run, capped, time.process_time() - start)
