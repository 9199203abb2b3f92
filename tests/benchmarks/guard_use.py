"""What the guard is worth: MetaLR with it and without, on the suite's tasks, with strained rates.

Run: python tests/benchmarks/guard_use.py [SEEDS] [FAMILY ...]
Needs no data but scikit-learn's digits; 2 seeds and both families take about 20 minutes on a core.

All tasks but the six with long horizons, at the prior's rate and at two and four times that: the law
does not know every network, and where it is too high the guard has something to do. Points of the
validation score, means over tasks and seeds, with the 95 % t interval of the paired differences;
then how often weights were put back, in how many of the runs.
"""

import sys
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from tune_metalr.metalr.meta_training.evaluate import run_controller
from tune_metalr.metalr.meta_training.grid import is_long
from tune_metalr.metalr.meta_training.processes import one_thread
from tune_metalr.metalr.meta_training.task import Task, split_of
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.meta_training.unguarded import UnguardedMetaLR
from tune_metalr.metalr.meta_training.verdict import interval
from tune_metalr.metalr.metalr import MetaLR
from tune_metalr.metalr.prior import Family, Prior, priors

TIMES = (1.0, 2.0, 4.0)
FIRST_SEED = 20_000
"""Others than those of grid, search and ablation."""


class CountingMetaLR(MetaLR):
    """MetaLR that counts how often it has put weights back."""

    put_back = 0

    def _is_put_back(self, loss, closure):
        is_put_back = super()._is_put_back(loss, closure)
        self.put_back += is_put_back
        return is_put_back


class Pair(NamedTuple):
    guarded: float
    unguarded: float
    put_back: int


def run_pair(task: Task, family: Family, law: Prior, seed: int) -> Pair:
    made: list[CountingMetaLR] = []

    def guarded(optimizer: torch.optim.Optimizer, steps: int) -> MetaLR:
        made.append(CountingMetaLR(optimizer, steps, prior=law))
        return made[0]

    run = partial(run_controller, task, split_of(task), family, seed=seed)
    with_guard = run(make_controller=guarded).score
    without = run(make_controller=partial(UnguardedMetaLR, prior=law)).score
    return Pair(with_guard, without, made[0].put_back)


def main(seeds: int, families: list[Family]) -> None:
    tasks = [task for task in TASKS if not is_long(task)]
    print(f"{len(tasks)} tasks, {seeds} seeds; score with the guard, without, difference, points")
    for family in families:
        law = priors()[family]
        for times in TIMES:
            strained = law._replace(rate_at_1000_steps=times * law.rate_at_1000_steps)
            pairs = [
                run_pair(task, family, strained, FIRST_SEED + seed)
                for task in tasks
                for seed in range(seeds)
            ]
            gain = interval([100 * (pair.guarded - pair.unguarded) for pair in pairs])
            with_guard, without = (
                100 * np.mean([getattr(pair, name) for pair in pairs])
                for name in ("guarded", "unguarded")
            )
            runs = sum(pair.put_back > 0 for pair in pairs)
            print(
                f"{family:14}rate x {times:g}: {with_guard:6.2f} {without:6.2f}  "
                f"{gain.mean:+.2f} [{gain.low:.2f}, {gain.high:.2f}]; put back "
                f"{sum(pair.put_back for pair in pairs)} times, in {runs} of {len(pairs)} runs",
                flush=True,
            )


if __name__ == "__main__":
    with one_thread():
        chosen = int(sys.argv[1]) if len(sys.argv) > 1 else 2
        main(chosen, [Family(name) for name in sys.argv[2:]] or list(Family))
