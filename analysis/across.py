"""One number over several workloads: robust means of normalised scores, and ranks."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.arrays import FloatArray, finite
from analysis.intervals import Interval, widened_tail

FEWEST_BLOCKS = 5
"""Workloads from which on ranks are compared: with three, the largest possible gap of six methods
is hardly the critical difference."""

_RESAMPLES = 4_000
_DRAWN_AT_ONCE = 250


class MethodsAcross(NamedTuple):
    """Each method over all workloads, with intervals of one joint bootstrap."""

    iqm: list[Interval]
    """Interquartile mean of each method."""
    iqm_difference: list[Interval]
    """Of each method minus the reference; the same resampled seeds on both sides."""


class Ranking(NamedTuple):
    """Friedman's test over blocks, and Nemenyi's critical difference."""

    mean_ranks: FloatArray
    """Shape (methods,); rank 1 is the highest score."""
    p_value: float
    critical_difference: float | None
    """Two mean ranks that differ by more differ significantly; `None` if Friedman's test does
    not reject, since there is then nothing to tell apart."""


def interquartile_mean(scores: npt.ArrayLike) -> float:
    """Return the mean of the middle half of all values, a 25 % trimmed mean.

    A value that straddles a quartile counts with the part of it that is inside; scipy's
    `trim_mean` drops whole values instead (Agarwal et al. 2021 use that; the two agree if four
    divides the number of values).
    """
    values = np.sort(finite(np.ravel(scores), "the scores"))
    return float(values @ _iqm_weights(len(values)))


def across_workloads(
    scores: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    reference: int = 0,
    confidence: float = 0.95,
) -> MethodsAcross:
    """Return interquartile means with stratified, paired bootstrap intervals.

    Seeds are resampled within each workload (stratified), the same ones for every method
    (paired): methods share initial weights and batch order. Workloads are not resampled: the
    statement is about these workloads. Percentiles are widened for few seeds as in
    `studentised_interval`.

    Args:
        scores: Shape (methods, workloads, seeds), normalised so that workloads are comparable.
        rng: For the resamples.
        reference: Row with which the others are compared.
        confidence: Of the two-sided intervals.

    Raises:
        ValueError: A score is missing, or there is one seed only.
    """
    table = finite(scores, "the scores", ndim=3)
    _, num_workloads, num_seeds = table.shape
    if num_seeds < 2:
        raise ValueError("resampling needs at least two seeds")
    weights = _iqm_weights(num_workloads * num_seeds)
    estimates = _iqm(table, weights)
    blocks = np.arange(num_workloads)[:, None]
    parts = []
    for _ in range(_RESAMPLES // _DRAWN_AT_ONCE):
        drawn = rng.integers(num_seeds, size=(_DRAWN_AT_ONCE, num_workloads, num_seeds))
        parts.append(_iqm(table[:, blocks, drawn], weights).T)
    resampled = np.concatenate(parts)
    tail = widened_tail(num_seeds, confidence)
    return MethodsAcross(
        _intervals(estimates, resampled, tail),
        _intervals(estimates - estimates[reference], resampled - resampled[:, [reference]], tail),
    )


def rank_methods(scores: npt.ArrayLike, *, alpha: float = 0.05) -> Ranking:
    """Rank methods within blocks and compare their mean ranks (Demsar 2006).

    Args:
        scores: Shape (blocks, methods), at least 5 blocks and 3 methods.
        alpha: Level of both tests.

    Raises:
        ValueError: There are too few blocks or methods for the tests to mean anything.
    """
    table = finite(scores, "the scores", ndim=2)
    blocks, methods = table.shape
    if blocks < FEWEST_BLOCKS or methods < 3:
        raise ValueError(
            f"ranks of {methods} methods on {blocks} workloads are not compared: it takes 3 "
            f"methods and {FEWEST_BLOCKS} workloads"
        )
    mean_ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    if np.ptp(table, axis=1).max() == 0:  # all tied in every block
        return Ranking(mean_ranks, 1.0, None)
    p_value = float(stats.friedmanchisquare(*table.T).pvalue)
    significant = p_value <= alpha
    difference = nemenyi_critical_difference(methods, blocks, alpha=alpha) if significant else None
    return Ranking(mean_ranks, p_value, difference)


def nemenyi_critical_difference(methods: int, blocks: int, *, alpha: float = 0.05) -> float:
    """Return q_alpha sqrt(k (k + 1) / (6 N)) for k methods and N blocks (Demsar 2006).

    q_alpha is the studentised range's quantile for infinite degrees of freedom over sqrt(2).
    """
    quantile = float(stats.studentized_range.ppf(1 - alpha, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))


def _iqm_weights(count: int) -> FloatArray:
    """Return the weight of each sorted value: its overlap with the middle half of [0, 1]."""
    edges = np.linspace(0, 1, count + 1)
    overlap = np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25)
    weights: FloatArray = 2 * np.maximum(overlap, 0)
    return weights


def _iqm(table: FloatArray, weights: FloatArray) -> FloatArray:
    """Return interquartile means over the last two axes, workloads and seeds."""
    flat = table.reshape(*table.shape[:-2], len(weights))
    means: FloatArray = np.sort(flat, axis=-1) @ weights
    return means


def _intervals(estimates: FloatArray, resampled: FloatArray, tail: float) -> list[Interval]:
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return [
        Interval(float(e), float(a), float(b)) for e, a, b in zip(estimates, low, high, strict=True)
    ]
