"""What probes may do to the prior's rate: rules beside one another, on the tasks of the suite.

Run: python tests/benchmarks/probe_rules.py [SEEDS]
Needs no data but scikit-learn's digits; 4 seeds take about 45 minutes on a slow core.

prior         no probes
dead band     the rate falls while sigma is above 1; under SGD it rises near the peak while sigma is
              below 0.1
edge          the same with the upper end at 2, where a step leaves the loss as it was
growing       the adaptive warm-up: up to the peak's middle, the rate grows while sigma is below 0.1,
              under both families
integral      no band: sigma is steered to one value all the time, that of small networks at a good
              rate: 0.35

Each at the prior's rate, and at a quarter and four times of it, where a rule can show its use. The
numbers are validation accuracies, means over seeds; in brackets the mean factor on the prior's rate
at the end. The last table pools differences from `prior` over tasks, with a paired t interval.
"""

import math
import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch
from torch import nn

from tune_metalr import BatchLoss, MetaLR
from tune_metalr.metalr.meta_training.run import build_optimizer
from tune_metalr.metalr.meta_training.task import Task, initial_network, split_of, train_batches
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.metalr import DeadBand
from tune_metalr.metalr.prior import Family, priors

STEPS = 400
TIMES = (0.25, 1.0, 4.0)
RULES: Mapping[str, Mapping[Family, DeadBand] | None] = {
    "prior": None,
    "dead band": {
        Family.ADAM: DeadBand(-math.inf, 1.0, 0.2),
        Family.SGD_MOMENTUM: DeadBand(0.1, 1.0, 0.5),
    },
    "edge": {
        Family.ADAM: DeadBand(-math.inf, 2.0, 0.2),
        Family.SGD_MOMENTUM: DeadBand(0.1, 2.0, 0.5),
    },
    "growing": {
        Family.ADAM: DeadBand(0.1, 1.0, 0.2),
        Family.SGD_MOMENTUM: DeadBand(0.1, 1.0, 0.5),
    },
    "integral": {
        Family.ADAM: DeadBand(0.35, 0.35, 0.2),
        Family.SGD_MOMENTUM: DeadBand(0.35, 0.35, 0.5),
    },
}


class Run(NamedTuple):
    accuracy: float
    scale: float


def train(task: Task, family: Family, rule: str, *, times: float, seed: int) -> Run:
    """Train a task's network; the prior's rate is `times` its own."""
    split = split_of(task)
    network = initial_network(task, seed)
    optimizer = build_optimizer(family, network, 0.0)
    metalr = MetaLR(optimizer, STEPS, initial_lr=1e9)
    prior = priors()[family]
    metalr._prior = prior._replace(rate_at_1000_steps=times * prior.rate_at_1000_steps)
    bands = RULES[rule]
    if bands is not None:
        metalr._band = bands[family]
    batches = train_batches(task, split.train, seed)
    for _ in range(STEPS):
        batch = next(batches)
        batch_loss = BatchLoss(
            lambda: nn.functional.cross_entropy(network(batch.inputs), batch.classes)  # noqa: B023
        )
        optimizer.zero_grad()
        loss = batch_loss()
        loss.backward()
        metalr.step(loss, batch_loss if bands is not None else None)
    with torch.no_grad():
        guesses = network(split.validation.inputs).argmax(dim=1)
    right = (guesses == split.validation.classes).double().mean()
    return Run(float(right), metalr.scale)


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    pooled: dict[tuple[Family, float, str], list[float]] = defaultdict(list)
    for family in Family:
        for task in TASKS:
            for times in TIMES:
                line = []
                base: list[float] = []
                for rule in RULES:
                    runs = [
                        train(task, family, rule, times=times, seed=seed) for seed in range(seeds)
                    ]
                    scores = [run.accuracy for run in runs]
                    base = base or scores
                    pooled[family, times, rule] += np.subtract(scores, base).tolist()
                    scale = np.exp(np.mean([math.log(run.scale) for run in runs]))
                    line.append(f"{rule} {100 * np.mean(scores):.1f} [x{scale:.2f}]")
                print(f"{family:13}{task.name:10} rate x {times:<6g}", "; ".join(line), flush=True)
    for (family, times, rule), differences in pooled.items():
        if rule == "prior":
            continue
        mean, error = np.mean(differences), scipy.stats.sem(differences)
        half = scipy.stats.t.ppf(0.975, len(differences) - 1) * error
        print(
            f"{family:13} rate x {times:<6g}{rule:10} minus prior: {100 * mean:+.2f} points "
            f"[{100 * (mean - half):+.2f}, {100 * (mean + half):+.2f}], n = {len(differences)}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
