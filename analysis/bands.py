"""Bands that hold a whole tuning curve at once."""

import math

import numpy as np
import numpy.typing as npt

from analysis.arrays import FloatArray, finite
from analysis.budgets import Curve

_DRAWS = 2_000


def dkw_epsilon(count: int, *, confidence: float = 0.95) -> float:
    """Return the half width of the band around an empirical distribution of `count` values.

    sqrt(ln(2 / alpha) / (2 N)), of Dvoretzky, Kiefer and Wolfowitz with Massart's constant: it
    holds for any distribution, with ties.
    """
    return math.sqrt(math.log(2 / (1 - confidence)) / (2 * count))


def dkw_band(
    values: npt.ArrayLike,
    budgets: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    lowest: float = 0.0,
    highest: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Return a band that holds the whole curve of the expected maximum at once.

    Both ends of the band around the distribution are turned into E max = h - integral of F**n
    (Lourie et al. 2023). It needs no assumption but bounds, and one column: what is selected on
    another column than it is read on has no such band; see `simultaneous_band`.

    Args:
        values: Shape (N,), within the bounds.
        budgets: Shape (budgets,).
        confidence: That the band holds everywhere.
        lowest: Bound of the values.
        highest: Bound of the values.

    Returns:
        Lower and upper ends, each of shape (budgets,).

    Raises:
        ValueError: A value is missing or outside the bounds.
    """
    ordered = np.sort(finite(values, "the values"))
    if ordered[0] < lowest or ordered[-1] > highest:
        raise ValueError(f"values lie outside [{lowest:g}, {highest:g}]")
    n = np.asarray(budgets, dtype=np.float64)[:, None]
    epsilon = dkw_epsilon(len(ordered), confidence=confidence)
    widths = np.diff(np.concatenate([[lowest], ordered, [highest]]))
    share = np.arange(len(ordered) + 1) / len(ordered)
    low = highest - np.minimum(share + epsilon, 1.0) ** n @ widths
    high = highest - np.maximum(share - epsilon, 0.0) ** n @ widths
    return low, high


def simultaneous_band(
    curve: Curve, rng: np.random.Generator, *, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return a band that holds a whole curve at once: pointwise errors times one larger factor.

    The factor is the quantile of the largest studentised deviation over the budgets (sup-t band;
    Montiel Olea and Plagborg-Moller 2019), bootstrapped from the jackknife's pseudo-values.

    Returns:
        Lower and upper ends, each of shape (budgets,); infinite if no error can be given.
    """
    error = np.sqrt(curve.variance)
    if not np.isfinite(error).all():  # one group
        return np.full_like(error, -np.inf), np.full_like(error, np.inf)
    half = _largest_deviation(curve, rng, confidence) * error
    return curve.score - half, curve.score + half


def median_best(values: npt.ArrayLike, n: int) -> float:
    """Return the median of the best of n draws: the 0.5**(1 / n) quantile of the values.

    Raises:
        ValueError: A value is missing.
    """
    ordered = finite(values, "the values")
    return float(np.quantile(ordered, 0.5 ** (1 / n), method="inverted_cdf"))


def _largest_deviation(curve: Curve, rng: np.random.Generator, confidence: float) -> float:
    """Return the quantile of max over budgets of |mean* - mean| / error* over resamples."""
    groups = len(curve.replicates)
    pseudo = curve.pseudo_values - curve.pseudo_values.mean(axis=0)
    counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=_DRAWS) / groups
    mean = counts @ pseudo
    variance = (counts @ pseudo**2 - mean**2) / (groups - 1)
    # A resample without spread at a budget says nothing about its error there.
    known = variance > 1e-6 * curve.variance
    deviation = np.where(known, np.abs(mean) / np.sqrt(np.where(known, variance, 1.0)), 0.0)
    return float(np.quantile(deviation.max(axis=1), confidence))
