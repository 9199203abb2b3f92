"""Intervals for the mean of few values, and for a share; `calibration/table.md` tests them."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.arrays import FloatArray, finite

FEWEST_FOR_RESAMPLING = 5
"""Below, too many resamples repeat one value and have no spread: Student's interval is given."""

RESAMPLES = 3999

_MOST_STUDENTS = 2.5


class Interval(NamedTuple):
    """An estimate and the ends of its interval; infinite where the data say nothing."""

    estimate: float
    low: float
    high: float


def mean_interval(
    values: npt.ArrayLike, rng: np.random.Generator, *, confidence: float = 0.95
) -> Interval:
    """Return the mean with the interval that `calibration/table.md` chose for few values.

    It is `studentised_interval` from 5 values on, and Student's below.

    Args:
        values: Shape (n,), one per seed: scores, or differences between paired scores.
        rng: For the resamples.
        confidence: Of the two-sided interval.

    Raises:
        ValueError: `values` is empty, or one of them is not finite.
    """
    sample = finite(values, "the sample")
    if len(sample) < FEWEST_FOR_RESAMPLING:
        return student_interval(sample, confidence=confidence)
    return studentised_interval(sample, rng, confidence=confidence)


def student_interval(values: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return mean +- t * s / sqrt(n); one value leaves the ends infinite.

    Raises:
        ValueError: `values` is empty, or one of them is not finite.
    """
    sample = finite(values, "the sample")
    n = len(sample)
    mean = mean_of(sample)
    if n == 1:
        return Interval(mean, -math.inf, math.inf)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * standard_error(sample)
    return Interval(mean, mean - half, mean + half)


def studentised_interval(
    values: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    widened: bool = True,
) -> Interval:
    """Return the studentised bootstrap interval of the mean, its tails widened for small n.

    The quantiles of t* = (mean* - mean) / se* over resamples replace Student's, so that the
    interval follows the sample's skewness (Efron and Tibshirani 1993, section 12.5). The tails
    are cut at Phi(-z sqrt(n / (n - 1))) instead of Phi(-z), which makes up for the spread that
    resamples lack (Hesterberg 2015, section 4: the same correction, of percentile intervals).
    An end is at most 2.5 times as far from the mean as Student's: with one outlier among equal
    values, resamples without it have no spread, and t* has no quantile that means anything.

    Args:
        values: Shape (n,), n >= 2.
        rng: For the resamples.
        confidence: Of the two-sided interval.
        widened: Whether the tails make up for small n.

    Raises:
        ValueError: There are fewer than two values, or one is not finite.
    """
    sample = np.sort(finite(values, "the sample"))  # the order of rows must not matter
    n = len(sample)
    if n < 2:
        raise ValueError("resampling needs at least two values")
    mean, error = mean_of(sample), standard_error(sample)
    if error == 0:
        return Interval(mean, mean, mean)
    drawn = sample[rng.integers(n, size=(RESAMPLES, n))]
    tail = widened_tail(n, confidence) if widened else (1 - confidence) / 2
    t_low, t_high = np.quantile(_t_values(drawn, mean), [tail, 1 - tail], method="inverted_cdf")
    furthest = _MOST_STUDENTS * (student_interval(sample, confidence=confidence).high - mean)
    below, above = (min(float(t) * error, furthest) for t in (t_high, -t_low))
    return Interval(mean, mean - below, mean + above)


def above_p_value(values: npt.ArrayLike, bound: float, rng: np.random.Generator) -> float:
    """Return the one-sided p-value of 'the mean is not above `bound`', the twin of the interval.

    The studentised bootstrap with widened tails from 5 values on, Student's t below; one value
    shows nothing. Equal values leave no doubt: 0 or 1.

    Raises:
        ValueError: `values` is empty, or one of them is not finite.
    """
    sample = np.sort(finite(values, "the sample"))
    n = len(sample)
    if n == 1:
        return 1.0
    mean, error = mean_of(sample), standard_error(sample)
    if error == 0:
        return float(mean <= bound)
    t = (mean - bound) / error
    if n < FEWEST_FOR_RESAMPLING:
        return float(stats.t.sf(t, n - 1))
    drawn = sample[rng.integers(n, size=(RESAMPLES, n))]
    share = (1 + int((_t_values(drawn, mean) >= t).sum())) / (RESAMPLES + 1)
    return float(stats.norm.cdf(stats.norm.ppf(share) * math.sqrt((n - 1) / n)))


def mean_of(sample: FloatArray) -> float:
    """Return the mean of a sample, shape (n,); of equal values exactly that value."""
    return float(sample[0] if sample.min() == sample.max() else sample.mean())


def standard_error(sample: FloatArray) -> float:
    """Return s / sqrt(n) of a sample, shape (n,), n >= 2; exactly 0 if all values are equal."""
    if sample.min() == sample.max():
        return 0.0
    return float(sample.std(ddof=1)) / math.sqrt(len(sample))


def widened_tail(n: int, confidence: float) -> float:
    """Return the share of resamples to cut at each end for n values: Phi(-z sqrt(n / (n - 1)))."""
    quantile = stats.norm.ppf((1 + confidence) / 2)
    return float(stats.norm.cdf(-quantile * math.sqrt(n / (n - 1))))


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return a share with its Wilson score interval (Wilson 1927).

    Raises:
        ValueError: There are no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share")
    # In closed form: scipy's computes the exact test's p-value too, which takes 50 times as long.
    share = successes / trials
    z2 = float(stats.norm.ppf((1 + confidence) / 2)) ** 2
    middle = (successes + z2 / 2) / (trials + z2)
    half = math.sqrt(z2 * (share * (1 - share) * trials + z2 / 4)) / (trials + z2)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def _t_values(drawn: FloatArray, mean: float) -> FloatArray:
    """Return t* of each resample, shape (resamples, n); infinite for one without spread."""
    offset = drawn.mean(axis=1) - mean
    flat = drawn.min(axis=1) == drawn.max(axis=1)
    error = drawn.std(axis=1, ddof=1) / math.sqrt(drawn.shape[1])
    safe = np.where(flat, 1.0, error)
    spreadless = np.where(offset == 0, 0.0, np.copysign(np.inf, offset))
    return np.where(flat, spreadless, offset / safe)
