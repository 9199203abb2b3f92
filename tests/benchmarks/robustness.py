"""Whether MetaLR ends in the same place when its first rate or the loss's unit is another.

Run: python tests/benchmarks/robustness.py [SEEDS] [OPTIMIZER ...]
Needs no data but scikit-learn's digits; 32 seeds and two optimizers take about 20 minutes on a slow
core.

digits-cnn, 10 epochs. Arms: the first rate x 1e-3 to 1e3, and the loss x 0.01 to 100; each arm is
compared with the default, seed by seed, by two one-sided t tests (TOST, Schuirmann 1987). Equivalent
means: the 90 % interval of the mean difference lies within one standard deviation of the default's
seeds.
"""

import math
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch

from tune_metalr.runner import wanted_of
from tune_metalr.study_file import load_study
from tune_metalr.training import Training
from tune_metalr.trial import Trial
from tune_metalr.workloads.places import DataPlaces, data_places
from tune_metalr.workloads.task import Batch, Task

FIRST_RATES = tuple(10.0**power for power in (-3, -2, -1, 1, 2, 3))
LOSSES = (0.01, 0.1, 10.0, 100.0)
STUDY = """\
name: robustness
epochs: 10
seeds: {seeds}
workloads: digits-cnn
methods:
  {optimizer}: {{optimizer: {optimizer}, controller: metalr, lr: {lr}{momentum}}}
"""


class Scaled(Training):
    """Training on a multiple of the loss; what is scored is the loss itself."""

    def __init__(self, trial: Trial, task: Task, times: float) -> None:
        self._times = times
        super().__init__(trial, task)

    def _loss(self, batch: Batch) -> torch.Tensor:
        return self._times * super()._loss(batch)

    def _divergence(self, loss_nats: float | None) -> str | None:
        return super()._divergence(None if loss_nats is None else loss_nats / self._times)


class Arm(NamedTuple):
    optimizer: str
    first_rate: float = 1.0
    """In units of the default, 1e-3."""
    loss: float = 1.0


def accuracies(arm: Arm, seeds: int, folder: Path, places: DataPlaces) -> list[float]:
    """Return the test accuracy of every seed; of a run that diverged, that of guessing."""
    path = folder / "robustness.yaml"
    momentum = ", momentum: 0.9" if arm.optimizer == "sgd" else ""
    rate = 1e-3 * arm.first_rate
    text = STUDY.format(optimizer=arm.optimizer, seeds=seeds, lr=f"{rate:g}", momentum=momentum)
    path.write_text(text)
    scores = []
    for item in wanted_of(load_study(path).study, places).trials:
        training = Scaled(item.trial, Task(item.trial, places), arm.loss)
        while not training.is_over:
            training.run_epoch()
        scores.append(training.finish()["test_accuracy"] or 0.1)
    return scores


def show(arm: Arm, scores: list[float], default: list[float]) -> None:
    differences = np.subtract(scores, default)
    mean, sd = differences.mean(), float(np.std(default, ddof=1))
    error = differences.std(ddof=1) / math.sqrt(len(default))
    half = scipy.stats.t.ppf(0.95, len(default) - 1) * error
    verdict = "equivalent" if max(abs(mean - half), abs(mean + half)) < sd else "not shown"
    print(
        f"{arm.optimizer:6} first rate x {arm.first_rate:<8g} loss x {arm.loss:<6g} mean "
        f"{100 * np.mean(scores):6.2f} %, difference {mean / sd:+.2f} seed sd, 90 % interval "
        f"[{(mean - half) / sd:+.2f}, {(mean + half) / sd:+.2f}]: {verdict}",
        flush=True,
    )


def main(seeds: int, optimizers: list[str]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = data_places(None, fallback=folder / "data", folders={})
        for optimizer in optimizers:
            default = accuracies(Arm(optimizer), seeds, folder, places)
            sd = np.std(default, ddof=1)
            print(f"{optimizer}: {100 * np.mean(default):.2f} %, seed sd {100 * sd:.2f} points")
            arms = [Arm(optimizer, first_rate=times) for times in FIRST_RATES]
            for arm in [*arms, *(Arm(optimizer, loss=times) for times in LOSSES)]:
                show(arm, accuracies(arm, seeds, folder, places), default)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 32, sys.argv[2:] or ["adamw", "sgd"])
