"""A short timing of real training, from which the hours of a study are estimated."""

import itertools
import time
from typing import NamedTuple

from tune_metalr.training import Training
from tune_metalr.trial import Trial
from tune_metalr.workloads.places import DataPlaces
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
    epochs = (task.train_batches(epoch) for epoch in itertools.count())
    batches = itertools.chain.from_iterable(epochs)
    training.train_on(itertools.islice(batches, _WARMUP_STEPS))
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < _MIN_SECONDS:
        steps += training.train_on(itertools.islice(batches, _BLOCK_STEPS)).steps
    step_seconds = (time.perf_counter() - start) / steps
    sizes = task.sizes
    curve_examples = min(CURVE_EXAMPLES, sizes.validation)
    training.evaluate(task.curve_batches())
    spent = training.spent()
    example_seconds = spent["evaluation_seconds"] / curve_examples
    examples = trial.epochs * curve_examples + sizes.validation + sizes.test
    gradient_steps = trial.epochs * task.steps_per_epoch
    return Estimate(
        seconds=gradient_steps * step_seconds
        + examples * example_seconds
        + (trial.epochs + 1) * spent["probe_seconds"],
        gradient_steps=gradient_steps,
    )
