"""Is a difference between two methods real: tests on scores that are paired by seed."""

import math
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.arrays import FloatArray, finite
from analysis.intervals import above_p_value

MOST_EXACT = 40
"""Differences up to which a sign-flip test counts all 2**n outcomes."""

_DECIMALS = 12
"""To which differences of accuracies are meant."""

_DRAWS = 99_999
_DRAWN_AT_ONCE = 10_000


class Alternative(StrEnum):
    """What a test looks for."""

    TWO_SIDED = "two-sided"
    GREATER = "greater"


def sign_flip_p_value(
    differences: npt.ArrayLike,
    *,
    alternative: Alternative = Alternative.TWO_SIDED,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the p-value of the paired permutation test of the mean.

    Under the null hypothesis each difference is as likely with the other sign. All 2**n
    outcomes are counted, up to n = 40; beyond, 99,999 are drawn and the observed one is added
    (Phipson and Smyth 2010). The smallest two-sided value is 2 / 2**n.

    Args:
        differences: Shape (n,), one per seed.
        alternative: Both signs, or a positive mean.
        rng: For more than 40 differences; ten seeds need none.

    Raises:
        ValueError: A difference is missing or infinite, or there are over 40 and no `rng`.
    """
    sample = finite(differences, "the differences")
    magnitudes, observed = np.abs(sample), float(sample.sum())
    if alternative is Alternative.TWO_SIDED:
        observed = abs(observed)
    # Sums that differ by rounding alone are ties.
    threshold = observed - 1e-9 * float(magnitudes.sum())
    if len(sample) <= MOST_EXACT:
        share = _share_of_flips(magnitudes, threshold)
    elif rng is not None:
        share = _share_of_draws(magnitudes, threshold, rng)
    else:
        raise ValueError(f"more than {MOST_EXACT} differences need an rng")
    if alternative is Alternative.GREATER:
        return share
    return 1.0 if threshold <= 0 else min(1.0, 2 * share)


def wilcoxon_p_value(
    differences: npt.ArrayLike,
    *,
    alternative: Alternative = Alternative.TWO_SIDED,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the p-value of Wilcoxon's signed-rank test, exact with ties and zeros.

    Ties share their mean rank; zeros are ranked, then count for neither sign (Pratt 1959). The
    null distribution is that of the sign-flip test, on the signed ranks.

    Raises:
        ValueError: As `sign_flip_p_value`.
    """
    # 0.81 - 0.80 and 0.70 - 0.69 are a tie, which rounding would break.
    sample = np.round(finite(differences, "the differences"), _DECIMALS)
    signed_ranks = np.sign(sample) * stats.rankdata(np.abs(sample))
    return sign_flip_p_value(signed_ranks, alternative=alternative, rng=rng)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Return Holm's adjusted p-values (Holm 1979), shape (m,).

    A comparison that could not be tested is NaN. It stays NaN and counts in the family: which
    hypotheses are tested was decided before the runs, not by how they ended.
    """
    given = np.asarray(p_values, dtype=np.float64)
    untested = np.isnan(given)
    order = np.argsort(np.where(untested, 1.0, given), kind="stable")
    # The i-th smallest of m is multiplied by m - i; none ends below one before it.
    stepped = np.where(untested, 1.0, given)[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return np.where(untested, np.nan, adjusted)


def seeds_needed(num_comparisons: int, alpha: float) -> int:
    """Return the fewest paired seeds with which Holm's first, hardest step can reach `alpha`.

    All differences of one sign is the most extreme of 2**n outcomes, in both directions:
    2 / 2**n. Holm multiplies the smallest p-value of a family by its size.
    """
    return max(1, math.ceil(1 + math.log2(num_comparisons / alpha)))


def non_inferiority_p_value(
    differences: npt.ArrayLike, margin: float, rng: np.random.Generator
) -> float:
    """Return the one-sided p-value of 'the mean difference is not above -margin'.

    A small value shows that the method is worse by less than `margin`, if at all. It is the larger
    one of two tests of the shifted differences: the sign-flip test, exact if they are symmetric,
    and the studentised bootstrap, which is nearer to its level if they are skewed. Neither sees a
    rare failure that these seeds do not show: see `calibration/table.md`.

    Raises:
        ValueError: `margin` is not positive, or a difference is missing or infinite.
    """
    if not margin > 0:
        raise ValueError("a margin must be above 0")
    # A difference of just the margin must not be decided by rounding.
    shifted = np.round(finite(differences, "the differences") + margin, _DECIMALS)
    return max(
        sign_flip_p_value(shifted, alternative=Alternative.GREATER, rng=rng),
        above_p_value(shifted, 0.0, rng),
    )


def equivalence_p_value(
    differences: npt.ArrayLike, margin: float, rng: np.random.Generator
) -> float:
    """Return the p-value of two one-sided tests (TOST, Schuirmann 1987): |mean| >= margin.

    Raises:
        ValueError: As `non_inferiority_p_value`.
    """
    sample = finite(differences, "the differences")
    return max(
        non_inferiority_p_value(sample, margin, rng),
        non_inferiority_p_value(-sample, margin, rng),
    )


def _share_of_flips(magnitudes: FloatArray, threshold: float) -> float:
    """Return the share of all sign flips whose sum is at least `threshold`.

    The sums of two halves are listed and matched, so that 40 differences take 2 * 2**20 sums.
    """
    middle = len(magnitudes) // 2
    left, right = _all_sums(magnitudes[:middle]), np.sort(_all_sums(magnitudes[middle:]))
    below = np.searchsorted(right, threshold - left, side="left")
    return float((len(right) - below).sum()) / 2.0 ** len(magnitudes)


def _all_sums(magnitudes: FloatArray) -> FloatArray:
    sums = np.zeros(1)
    for magnitude in magnitudes:
        sums = np.concatenate([sums - magnitude, sums + magnitude])
    return sums


def _share_of_draws(magnitudes: FloatArray, threshold: float, rng: np.random.Generator) -> float:
    magnitudes = np.sort(magnitudes)  # the order of rows must not matter
    reached, left = 1, _DRAWS
    while left:
        size = min(left, _DRAWN_AT_ONCE)
        signs = rng.integers(2, size=(size, len(magnitudes)), dtype=np.int8) * 2.0 - 1
        reached += int((signs @ magnitudes >= threshold).sum())
        left -= size
    return reached / (_DRAWS + 1)
