"""What an upper end of sigma costs where the rate is right, and spares where it is far too high.

Run: python -m tests.benchmarks.upper_ends [adam|sgd-momentum] [SEEDS]
Needs no data but scikit-learn's digits; two seeds take two to three minutes on two cores.

prior       no probes
one         the rate falls while sigma is above 1
two         while it is above 2, where a step leaves the loss as it was
rising      while it is above an end that rises from 1 to 2 with the share of the peak

Whole runs of two tasks of each family, with the law of the training on the complete grid, and at
times of its rate. The numbers are regrets, means over families; seeds are none of the training's.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from tests.conftest import REPOSITORY
from tune_metalr import MetaLR
from tune_metalr.controller import LearningRateController
from tune_metalr.metalr.meta_training.evaluate import run_controller
from tune_metalr.metalr.meta_training.processes import processes_of_one_thread
from tune_metalr.metalr.meta_training.record import laws_of
from tune_metalr.metalr.meta_training.surface import REGRET_CAP, Surface, about, surfaces
from tune_metalr.metalr.meta_training.table import read_table
from tune_metalr.metalr.meta_training.task import Task, split_of
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.metalr.prior_controller import PriorController

TRAINING = REPOSITORY / "analysis/meta-training/two-seeds"
NAMES = (
    "digits-0", "digits-3", "textures-0", "textures-2", "keywords-0", "keywords-3", "recall-0",
    "recall-3", "teacher-0", "teacher-3", "regression-0", "regression-2",
)  # fmt: skip
TIMES: Mapping[Family, tuple[float, ...]] = {
    Family.ADAM: (1.0, 16.0),
    Family.SGD_MOMENTUM: (0.25, 1.0, 4.0),
}
FIRST_SEED = 20_000


class Ended(MetaLR):
    """MetaLR whose upper end is `low` at no rate, and `high` at the peak."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        prior: Prior,
        low: float,
        high: float,
    ) -> None:
        super().__init__(optimizer, total_steps, prior=prior)
        self._ends = low, high

    def _excess(self, sigma: float) -> float:
        low, high = self._ends
        self._band = self._band._replace(high=low + (high - low) * self.planned_share)
        return super()._excess(sigma)


RULES = {
    "prior": PriorController,
    "one": partial(Ended, low=1.0, high=1.0),
    "two": partial(Ended, low=2.0, high=2.0),
    "rising": partial(Ended, low=1.0, high=2.0),
}


def make_controller(
    rule: str, law: Prior, optimizer: torch.optim.Optimizer, total_steps: int
) -> LearningRateController:
    return RULES[rule](optimizer, total_steps, prior=law)


def regret(task: Task, surface: Surface, family: Family, law: Prior, rule: str, seed: int) -> float:
    """Return what a run has lost."""
    made = partial(make_controller, rule, law)
    found = run_controller(task, split_of(task), family, seed=seed, make_controller=made)
    lost = (surface.best - found.score) / surface.to_win
    return min(REGRET_CAP, lost) if math.isfinite(lost) else REGRET_CAP


def main(family: Family, num_seeds: int) -> None:
    law = laws_of(TRAINING / "prior.json")[family]
    tasks = {task.name: task for task in TASKS}
    found = surfaces(read_table(TRAINING / "oracle_grid.csv"), family, about=about(TASKS))
    surface_of = {surface.task: surface for surface in found}
    keys = [
        (name, times, rule, FIRST_SEED + seed)
        for seed in range(num_seeds)
        for name in NAMES
        for times in TIMES[family]
        for rule in RULES
    ]
    work = [
        (
            tasks[name],
            surface_of[name],
            family,
            law._replace(rate_at_1000_steps=times * law.rate_at_1000_steps),
            rule,
            seed,
        )
        for name, times, rule, seed in keys
    ]
    regrets: dict[tuple[float, str], dict[str, list[float]]] = defaultdict(dict)
    with processes_of_one_thread(2) as processes:
        for key, lost in zip(keys, processes.map_until(math.inf, regret, work), strict=True):
            name, times, rule, _ = key
            regrets[times, rule].setdefault(tasks[name].family, []).append(lost)
    print(json.dumps(law._asdict()))
    for (times, rule), of_families in regrets.items():
        mean = np.mean([np.mean(lost) for lost in of_families.values()])
        print(f"{times:5g} times the rate  {rule:8} {mean:.4f}")


if __name__ == "__main__":
    family, *seeds = sys.argv[1:] or ["adam"]
    main(Family(family), int(*seeds or ["2"]))
