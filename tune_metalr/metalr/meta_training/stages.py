"""The stages that learn from a complete grid by whole runs: refining a law, and an ablation."""

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tune_metalr.metalr.meta_training.ablation import Arm, ablate, gains, gains_over_prior
from tune_metalr.metalr.meta_training.code_digest import code_digest
from tune_metalr.metalr.meta_training.grid import is_long
from tune_metalr.metalr.meta_training.processes import Processes
from tune_metalr.metalr.meta_training.record import Refining
from tune_metalr.metalr.meta_training.refine import Search, refine
from tune_metalr.metalr.meta_training.task import Task
from tune_metalr.metalr.meta_training.tasks import suite
from tune_metalr.metalr.meta_training.trial_of_laws import Law, try_laws
from tune_metalr.metalr.meta_training.verdict import Gain, Known, Verdict
from tune_metalr.metalr.prior import Family, Prior

_FRESH_SEEDS = 3
_FIRST_FRESH_SEED = 10_000
"""What is learned on the grid's seeds is tried on others."""

_DIGEST_LENGTH = 12


class Stage(NamedTuple):
    """How far one stage has come."""

    name: str
    finished_runs: int
    planned_runs: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to run."""
        return self.finished_runs >= self.planned_runs


class MetaTraining(NamedTuple):
    """Where meta-training keeps what it finds, and how it goes about it."""

    out: Path
    """Folder of all runs and results: the same folder goes on."""
    tasks: tuple[Task, ...]
    """The suite."""
    seed: int
    """Of initial weights, orders of batches and learning; another one shows what is luck."""
    grid_seeds: int
    """Runs of each setting of the grid."""
    origin: Mapping[str, str]
    """What the record tells of the command and the code."""
    processes: Processes
    end: float
    """Nothing begins later (monotonic seconds): no run, and no generation of a search."""
    say: Callable[[str], None]
    """Told each result, a line each."""
    others: Mapping[Family, Prior] | None = None
    """The laws of another training, which those of this one are tried beside."""

    @property
    def short_tasks(self) -> list[Task]:
        """Those whose runs take seconds."""
        return [task for task in self.tasks if not is_long(task)]

    @property
    def fresh_seeds(self) -> range:
        """Seeds that neither grid nor search has seen."""
        first = _FIRST_FRESH_SEED + _FRESH_SEEDS * self.seed
        return range(first, first + _FRESH_SEEDS)

    def log(self, stage: Callable[..., object], family: str, *identity: object) -> Path:
        """Return where the runs of a stage are kept; those of other code, laws or seeds are not."""
        code = code_digest(stage, suite)
        text = json.dumps([code, self.seed, self.grid_seeds, *identity], default=repr)
        digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
        return self.out / f"{stage.__name__}-{family}-{digest}.jsonl"


class Ablation(NamedTuple):
    """What each part is worth."""

    worth: dict[Arm, Gain]
    """Over the parts before it; empty until all has been run."""
    over_prior: dict[Arm, Gain]
    """Over the prior alone, of MetaLR up to each part."""
    seconds: float
    stage: Stage


class Beside(NamedTuple):
    """How the law that was found does beside that of another training."""

    law: Prior
    """The other one."""
    gain: Gain | None
    """What is saved with the one that was found; `None` until all has been run."""
    seconds: float
    stage: Stage


class Refinement(NamedTuple):
    """How far refining a law has come."""

    found: Refining | None
    """Nothing of a search or a trial that is not complete."""
    seconds: float
    stages: list[Stage]


def refine_law(known: Known, law: Prior, training: MetaTraining, *, has_width: bool) -> Refinement:
    """Refine a law by whole runs, and try it beside the fitted one with fresh seeds.

    Args:
        known: What the grid says.
        law: The fitted one.
        training: Where runs are kept.
        has_width: Whether the law may look at the width.
    """
    family = known.family
    tasks = training.short_tasks
    how = Search(has_width=has_width, seed=training.seed)
    cmaes = importlib.metadata.version("cmaes")  # another one would propose other candidates
    found = refine(
        law,
        family,
        tasks,
        known.surface_of,
        how=how,
        processes=training.processes,
        log=training.log(refine, family, law, how, cmaes),
        is_time_up=lambda: time.monotonic() > training.end,
    )
    searched = Stage(f"refining {family}", len(found.generations), how.generations)
    count = len(tasks) * 2 * len(training.fresh_seeds)
    seconds = sum(generation.seconds for generation in found.generations)
    if not searched.is_complete:
        untried = Stage(f"trial of laws {family}", 0, count)
        return Refinement(None, seconds, [searched, untried])
    trial = try_laws(
        {Law.GRID: law, Law.REFINED: found.law},
        family,
        tasks,
        known.surface_of,
        seeds=training.fresh_seeds,
        processes=training.processes,
        log=training.log(try_laws, family, law, found.law),
        end=training.end,
    )
    tried = Stage(f"trial of laws {family}", len(trial.runs), count)
    seconds += sum(run.seconds for run in trial.runs.values())
    if trial.gain is None:
        return Refinement(None, seconds, [searched, tried])
    training.say(f"{family}: refined to {found.law._asdict()}, which {saves(trial.gain)}")
    curve = [float(np.mean(generation.regrets)) for generation in found.generations]
    return Refinement(Refining(found.law, curve, trial), seconds, [searched, tried])


def ablate_parts(known: Known, verdict: Verdict, training: MetaTraining) -> Ablation:
    """Try each part in whole runs, on families that it has not seen and with fresh seeds."""
    family = known.family
    tasks = training.short_tasks
    seeds = training.fresh_seeds
    parts = {one.task_family: one.parts for one in verdict.left_out}
    identity = [
        (name, one.law, one.features, one.residual.vector().tolist()) for name, one in parts.items()
    ]
    results = ablate(
        tasks,
        known.surface_of,
        parts,
        family,
        seeds=seeds,
        processes=training.processes,
        log=training.log(ablate, family, identity),
        end=training.end,
    )
    stage = Stage(f"ablation {family}", len(results), len(tasks) * len(Arm) * len(seeds))
    seconds = sum(result.seconds for result in results)
    if not stage.is_complete:
        return Ablation({}, {}, seconds, stage)
    families = {task.name: task.family for task in tasks}
    worth = gains(results, families)
    for arm, gain in worth.items():
        training.say(f"{family}: in whole runs there, {arm} {saves(gain)}")
    return Ablation(worth, gains_over_prior(results, families), seconds, stage)


def described_ablation(ablation: Ablation) -> dict[str, Any]:
    """Return what an ablation says as JSON has it; of one that is not complete, how far it is."""
    return {
        "runs": ablation.stage.finished_runs,
        "planned_runs": ablation.stage.planned_runs,
        "seconds": round(ablation.seconds),
        "saves": _rounded(ablation.worth),
        "saves_over_prior": _rounded(ablation.over_prior),
    }


def try_beside(known: Known, law: Prior, training: MetaTraining) -> Beside | None:
    """Try what was found beside the law of another training, with fresh seeds.

    Returns:
        `None` where there is no other training.
    """
    if training.others is None:
        return None
    family, tasks = known.family, training.short_tasks
    other = training.others[family]
    name = f"trial beside {family}"
    if other == law:
        training.say(f"{family}: the other training has found the same law")
        return Beside(other, Gain(0.0, 0.0, 0.0), 0.0, Stage(name, 0, 0))
    trial = try_laws(
        {Law.OTHER: other, Law.FOUND: law},
        family,
        tasks,
        known.surface_of,
        seeds=training.fresh_seeds,
        processes=training.processes,
        log=training.log(try_laws, family, "beside", other, law),
        end=training.end,
    )
    if trial.gain is not None:
        training.say(f"{family}: beside the law of the other training, it {saves(trial.gain)}")
    count = len(tasks) * 2 * len(training.fresh_seeds)
    seconds = sum(run.seconds for run in trial.runs.values())
    return Beside(other, trial.gain, seconds, Stage(name, len(trial.runs), count))


def described_beside(beside: Beside) -> dict[str, Any]:
    """Return how two trainings compare as JSON has it; null is a trial that is not complete."""
    gain = beside.gain and [round(value, 4) for value in beside.gain]
    return {"law": beside.law._asdict(), "saves": gain}


def _rounded(gains_of: Mapping[Arm, Gain]) -> dict[str, list[float]]:
    return {arm.value: [round(value, 4) for value in gain] for arm, gain in gains_of.items()}


def saves(gain: Gain) -> str:
    """Say what is saved, with its interval."""
    return f"saves {gain.mean:.4f} [{gain.low:.4f}, {gain.high:.4f}] of regret"
