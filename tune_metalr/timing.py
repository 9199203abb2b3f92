"""A short timing of real training, from which the hours of a study are estimated."""

import itertools
import time
from typing import NamedTuple

from tune_metalr.training import Training
from tune_metalr.trial import Trial
from tune_metalr.workloads.cache import DataPlaces
from tune_metalr.workloads.task import CURVE_EXAMPLES, Task

_WARMUP_STEPS = 3
_MIN_SECONDS = 0.4
_BLOCK_STEPS = 5


class Estimate(NamedTuple):
    """What a trial costs."""

    seconds: float
    """With a core of its own, evaluations included."""
    gradient_steps: int


def estimate(trial: Trial, places: DataPlaces) -> Estimate:
    """Time a moment of a trial on this machine, and scale it to the whole."""
    task = Task(trial, places)
    training = Training(trial, task)
    training.train_on(itertools.islice(task.train_batches(0), _WARMUP_STEPS))
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < _MIN_SECONDS:
        steps += training.train_on(itertools.islice(task.train_batches(0), _BLOCK_STEPS)).steps
    step_seconds = (time.perf_counter() - start) / steps
    start = time.perf_counter()
    batch = next(task.curve_batches())
    training.evaluate([batch])
    example_seconds = (time.perf_counter() - start) / len(batch.labels)
    sizes = task.sizes
    examples = trial.epochs * min(CURVE_EXAMPLES, sizes.validation) + sizes.validation + sizes.test
    gradient_steps = trial.epochs * task.steps_per_epoch
    return Estimate(
        seconds=gradient_steps * step_seconds + examples * example_seconds,
        gradient_steps=gradient_steps,
    )
