"""How the tasks of one family differ: sizes, noise, scales and horizons, drawn evenly over ranges.

Each axis is cut into as many parts as there are tasks, and each task gets a part of each axis, in
an order of its own (a Latin hypercube): a few tasks cover all ranges. No task is drawn twice.
Horizons are then cut to what a run may cost: large batches and networks have short ones.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from tune_metalr.seeds import derive_seed

BATCH_SIZES = (16, 256)
TRAIN_EXAMPLES = (2_000, 10_000)
LABEL_NOISE = (0.0, 0.3)
STEPS = (300, 5_000)
LONG_STEPS = (5_000, 20_000)
INITIAL_SCALES = (0.5, 2.0)
LOSS_SCALES = (0.1, 10.0)
SIZES = (0.0, 1.0)

_RUN_SECONDS = 4.0
_LONG_RUN_SECONDS = 25.0
_STEP_SECONDS = 1.5e-3
"""What a step takes beside its examples."""

_LONG_BATCH_SIZES = (16, 32)


class Variation(NamedTuple):
    """What is particular to one task of its family."""

    name: str
    batch_size: int
    train_examples: int
    label_noise: float
    """Fraction of the training examples whose target is drawn at random."""
    steps: int
    initial_scale: float
    loss_scale: float
    size: float
    """From 0 to 1: how large the network and the examples are, as the family has it."""


def variations(
    family: str, count: int, *, example_seconds: tuple[float, float]
) -> Iterator[Variation]:
    """Yield the variations of a family; the last has a long horizon.

    Args:
        family: Names the random stream.
        count: Of tasks.
        example_seconds: What a forward and a backward pass of one example takes, at sizes 0 and 1:
            bounds the steps, so that a run takes some seconds.
    """
    stream = random.Random(derive_seed("meta-training", "variations", family))
    batch_sizes, examples, steps, initial_scales, loss_scales = (
        _spread(stream, count, *ends)
        for ends in (BATCH_SIZES, TRAIN_EXAMPLES, STEPS, INITIAL_SCALES, LOSS_SCALES)
    )
    noises, sizes = (
        [low + (high - low) * part for part in _parts(stream, count)]
        for low, high in (LABEL_NOISE, SIZES)
    )
    (long_steps,) = _spread(stream, 1, *LONG_STEPS)
    (batch_sizes[-1],) = _spread(stream, 1, *_LONG_BATCH_SIZES)
    steps[-1] = long_steps
    for number, batch_size in enumerate(map(round, batch_sizes)):
        is_last = number == count - 1
        seconds = _LONG_RUN_SECONDS if is_last else _RUN_SECONDS
        least_seconds, most_seconds = example_seconds
        of_an_example = least_seconds * (most_seconds / least_seconds) ** sizes[number]
        affordable = seconds / (_STEP_SECONDS + batch_size * of_an_example)
        least = LONG_STEPS[0] if is_last else STEPS[0]
        yield Variation(
            name=f"{family}-{number}",
            batch_size=batch_size,
            train_examples=round(examples[number]),
            label_noise=noises[number],
            steps=int(max(least, min(steps[number], affordable))),
            initial_scale=initial_scales[number],
            loss_scale=loss_scales[number],
            size=sizes[number],
        )


def _spread(stream: random.Random, count: int, low: float, high: float) -> list[float]:
    """Return numbers spread evenly over the logarithm of a range, in a random order."""
    return [low * (high / low) ** part for part in _parts(stream, count)]


def _parts(stream: random.Random, count: int) -> list[float]:
    parts = [(number + stream.random()) / count for number in range(count)]
    stream.shuffle(parts)
    return parts
