"""Performance profiles over workloads, as AlgoPerf scores them (Dahl et al. 2023, section 4.4).

A score is relative to the methods that are compared: adding one can change every other's.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.arrays import FloatArray, numbers

LARGEST_RATIO = 4.0
"""A method that takes longer than this multiple of the fastest has not reached the target."""

_TRAPEZOID_POINTS = 100


class ProfileScores(NamedTuple):
    """Area under each method's performance profile, between 0 and 1."""

    exact: FloatArray
    """Shape (methods,)."""
    trapezoid: FloatArray
    """Shape (methods,): the official 100-point rule, which differs from the integral."""


class ScoreRange(NamedTuple):
    """A method's exact score, and its range when any one other method is left out."""

    score: float
    low: float
    high: float


def time_ratios(times: npt.ArrayLike) -> FloatArray:
    """Return each time over the fastest of its workload; infinite beyond a ratio of 4.

    Args:
        times: Shape (methods, workloads); infinite where the target was not reached.

    Raises:
        ValueError: A time is missing or not positive.
    """
    table = numbers(times, "the times", ndim=2)
    if (table <= 0).any():
        raise ValueError("a time is not positive")
    fastest = table.min(axis=0)
    reached = np.isfinite(table)
    ratios = np.full(table.shape, np.inf)
    np.divide(table, fastest, out=ratios, where=reached)
    return np.where(ratios <= LARGEST_RATIO, ratios, np.inf)


def performance_profile(ratios: FloatArray, taus: npt.ArrayLike) -> FloatArray:
    """Return the share of workloads on which each method is within tau of the fastest.

    Args:
        ratios: Of `time_ratios`, shape (methods, workloads).
        taus: Shape (taus,).

    Returns:
        Shape (methods, taus).
    """
    within = ratios[:, :, None] <= np.asarray(taus, dtype=np.float64)
    share: FloatArray = within.mean(axis=1)
    return share


def profile_scores(times: npt.ArrayLike) -> ProfileScores:
    """Return 1 / (r_max - 1) times the integral of the profile from 1 to r_max = 4.

    The exact integral is the mean over workloads of max(0, (4 - ratio) / 3).

    Args:
        times: Shape (methods, workloads).

    Raises:
        ValueError: A time is missing or not positive.
    """
    ratios = time_ratios(times)
    width = LARGEST_RATIO - 1
    taus = np.linspace(1, LARGEST_RATIO, _TRAPEZOID_POINTS)
    reach = np.where(np.isfinite(ratios), LARGEST_RATIO - ratios, 0.0)
    area = np.asarray(np.trapezoid(performance_profile(ratios, taus), taus, axis=1))
    return ProfileScores(exact=reach.mean(axis=1) / width, trapezoid=area / width)


def score_ranges(times: npt.ArrayLike) -> list[ScoreRange]:
    """Return each method's score with its range over leaving out one other method.

    Args:
        times: Shape (methods, workloads).

    Raises:
        ValueError: A time is missing or not positive.
    """
    table = numbers(times, "the times", ndim=2)
    methods = range(len(table))
    scores = {m: [float(profile_scores(table).exact[m])] for m in methods}
    for left_out in methods:
        others = [m for m in methods if m != left_out]
        if others:
            for method, score in zip(others, profile_scores(table[others]).exact, strict=True):
                scores[method].append(float(score))
    return [ScoreRange(scores[m][0], min(scores[m]), max(scores[m])) for m in methods]
