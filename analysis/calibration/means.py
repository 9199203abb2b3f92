"""Simulated differences between paired seeds: intervals of a mean, families of tests."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.across import across_workloads, interquartile_mean
from analysis.arrays import FloatArray
from analysis.intervals import Interval, mean_interval, student_interval, studentised_interval
from analysis.stats import holm, non_inferiority_p_value, sign_flip_p_value

Draw = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]
ToInterval = Callable[[FloatArray, np.random.Generator], Interval]


class Population(NamedTuple):
    """What differences between paired seeds are drawn from."""

    draw: Draw
    mean: float


class Coverage(NamedTuple):
    """How often an interval held the truth, and how wide it was."""

    share: float
    median_width: float


POPULATIONS: dict[str, Population] = {
    "normal": Population(lambda rng, size: rng.normal(size=size), 0.0),
    "bounded: uniform": Population(lambda rng, size: rng.uniform(size=size), 0.5),
    "bounded: beta(5, 1)": Population(lambda rng, size: rng.beta(5, 1, size=size), 5 / 6),
    "lognormal, sigma 0.75": Population(
        lambda rng, size: rng.lognormal(0, 0.75, size=size), math.exp(0.75**2 / 2)
    ),
    "lognormal, sigma 1": Population(lambda rng, size: rng.lognormal(size=size), math.exp(1 / 2)),
    # No interval sees a divergence that has not happened yet: its rate stands beside every mean.
    "one in ten diverges": Population(
        lambda rng, size: rng.normal(0.01, 0.01, size) - 0.5 * (rng.random(size) < 0.1), -0.04
    ),
}

INTERVALS: dict[str, ToInterval] = {
    "chosen": mean_interval,
    "Student": lambda values, _: student_interval(values),
    "studentised, not widened": lambda values, rng: studentised_interval(
        values, rng, widened=False
    ),
    "BCa": lambda values, rng: _bca_interval(values, rng),
}


def mean_coverage(
    population: str, interval: str, *, n: int, samples: int, rng: np.random.Generator
) -> Coverage:
    """Return what a 95 % interval of the mean of n values covers."""
    drawn = POPULATIONS[population]
    method = INTERVALS[interval]
    intervals = (method(drawn.draw(rng, (n,)), rng) for _ in range(samples))
    return _coverage(intervals, drawn.mean)


def family_error(
    population: str, *, rivals: int, n: int, studies: int, rng: np.random.Generator
) -> float:
    """Return how often a study in which all methods are equal finds any difference.

    Each of `rivals` methods is compared with one reference: sign-flip tests, Holm at 5 %.
    """
    drawn = POPULATIONS[population]
    found = 0
    for _ in range(studies):
        scores = drawn.draw(rng, (rivals + 1, n))
        p_values = [sign_flip_p_value(score - scores[0]) for score in scores[1:]]
        found += bool(holm(p_values).min() <= 0.05)
    return found / studies


def non_inferiority_error(
    population: str, *, n: int, mirrored: bool, studies: int, rng: np.random.Generator
) -> float:
    """Return how often a method that is worse by just the margin passes as non-inferior.

    Args:
        population: Of the differences, shifted to a mean of minus the margin.
        n: Seeds.
        mirrored: Whether the differences' long tail is on the other side.
        studies: To simulate.
        rng: For everything.
    """
    drawn = POPULATIONS[population]
    side = -1 if mirrored else 1
    passed = 0
    for _ in range(studies):
        differences = side * (drawn.draw(rng, (n,)) - drawn.mean)
        passed += non_inferiority_p_value(differences - 1.0, 1.0, rng) <= 0.05
    return passed / studies


def iqm_coverage(*, workloads: int, n: int, samples: int, rng: np.random.Generator) -> float:
    """Return what the interval of a difference between interquartile means covers."""
    centres = rng.uniform(0.3, 0.9, workloads)

    def study(seeds: int) -> FloatArray:
        shape = (2, workloads, seeds)
        shared = rng.normal(0, 0.02, (1, workloads, seeds))  # what pairing shares
        own = rng.normal(0, 0.02, shape)
        better = np.array([0.0, 0.01])[:, None, None]
        return np.asarray(centres[None, :, None] + shared + own + better)

    large = study(100_000)
    truth = interquartile_mean(large[1]) - interquartile_mean(large[0])
    covered = 0
    for _ in range(samples):
        difference = across_workloads(study(n), rng).iqm_difference[1]
        covered += difference.low <= truth <= difference.high
    return covered / samples


def _coverage(intervals: Iterable[Interval], truth: float) -> Coverage:
    low, high = np.array([(interval.low, interval.high) for interval in intervals]).T
    return Coverage(float(((low <= truth) & (truth <= high)).mean()), float(np.median(high - low)))


def _bca_interval(values: FloatArray, rng: np.random.Generator) -> Interval:
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=1_999, method="BCa", rng=rng, vectorized=True
    )
    ends = result.confidence_interval
    return Interval(float(values.mean()), float(ends.low), float(ends.high))
