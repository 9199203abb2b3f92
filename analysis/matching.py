"""How much tuning a baseline needs to catch up with a method that is not tuned."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.arrays import FloatArray
from analysis.budgets import Curve
from analysis.intervals import Interval

NEVER = math.inf
"""A budget that no number of the trials at hand could show."""

_ROUNDING = 1e-9
"""Scores that are equal but for rounding have been reached; no accuracies differ by less."""


class BudgetToMatch(NamedTuple):
    """The smallest budget at which the tuned baseline reaches the untuned method."""

    budget: float
    """`NEVER`: not within `within`."""
    low: float
    """`NEVER`: not within `within`, with the stated confidence."""
    high: float
    """`NEVER`: it cannot be told that `within` suffices."""
    within: float
    """The largest budget that was looked at."""
    more_than: float
    """The largest budget of which the one-sided 95 % bound says that it does not suffice; 0 if
    there is none. Only this supports 'needs more than N trials'."""

    def times(self, factor: float) -> "BudgetToMatch":
        """Return the budget in another unit, as in multiples of one run of the untuned method."""
        return BudgetToMatch(*(value * factor for value in self))


def budget_to_match(tuned: Curve, untuned: Curve, *, confidence: float = 0.95) -> BudgetToMatch:
    """Return the first budget at which the tuned curve's running maximum reaches the untuned one.

    The interval holds each budget at which reaching it first is compatible with the data: it
    begins where the upper confidence bound of the difference tuned - untuned first reaches zero,
    and ends where the lower bound does (an inversion as of Fieller 1954). The bounds are Student's
    with the jackknife variances of both curves, which share no trial, and with Satterthwaite's
    degrees of freedom. `calibration/table.md` shows what the interval covers.

    Args:
        tuned: Of the baseline.
        untuned: At the same budgets: `constant_curve` for the estimand 'selected configuration',
            the curve of the best of n restarts for 'deployed model'.
        confidence: Of the two-sided interval.

    Raises:
        ValueError: The budgets differ.
    """
    difference, error, freedom = _difference(tuned, untuned)
    two_sided = _half_width(error, freedom, (1 + confidence) / 2)
    one_sided = _half_width(error, freedom, 0.95)
    insufficient = np.flatnonzero(np.maximum.accumulate(difference + one_sided) < -_ROUNDING)
    return BudgetToMatch(
        budget=_first(tuned.budgets, difference),
        low=_first(tuned.budgets, difference + two_sided),
        high=_first(tuned.budgets, difference - two_sided),
        within=float(tuned.budgets[-1]),
        more_than=float(tuned.budgets[insufficient[-1]]) if len(insufficient) else 0.0,
    )


def lead_at(
    tuned: Curve, untuned: Curve, budget: float, *, confidence: float = 0.95
) -> Interval | None:
    """Return by how much the untuned method leads after a budget of tuning; `None` beyond it.

    Returns:
        untuned - running maximum of tuned, with its interval.

    Raises:
        ValueError: The budgets of the curves differ.
    """
    difference, error, freedom = _difference(tuned, untuned)
    place = _place(tuned.budgets, budget)
    if place is None:
        return None
    lead = -float(difference[place])
    half = float(_half_width(error, freedom, (1 + confidence) / 2)[place])
    return Interval(lead, lead - half, lead + half)


def range_to_match(tuned: Curve, untuned: Curve, *, is_single: bool = False) -> BudgetToMatch:
    """Return the budget to match with the range over repeats of the search, where they are few.

    The ends are the smallest and the largest budget that a single repeat needed to reach the
    untuned method's estimate. They are no interval: nothing is said with a confidence.

    Args:
        tuned: Of the baseline.
        untuned: At the same budgets.
        is_single: Whether there is one repeat, which has no range: the ends are NaN.

    Raises:
        ValueError: The budgets differ.
    """
    difference = _difference(tuned, untuned)[0]
    single = [
        _first(tuned.budgets, repeat - untuned.score)
        for repeat in np.maximum.accumulate(tuned.pseudo_values, axis=1)
    ]
    budget = _first(tuned.budgets, difference)
    low, high = _range([budget, *single], is_single=is_single)
    return BudgetToMatch(
        budget=budget,
        low=low,
        high=high,
        within=float(tuned.budgets[-1]),
        more_than=0.0,
    )


def range_of_leads(
    tuned: Curve, untuned: Curve, budget: float, *, is_single: bool = False
) -> Interval | None:
    """Return the lead after a budget with its range over repeats of the search; `None` beyond.

    Args:
        tuned: Of the baseline.
        untuned: At the same budgets.
        budget: Of tuning.
        is_single: Whether there is one repeat, which has no range: the ends are NaN.

    Raises:
        ValueError: The budgets differ.
    """
    difference = _difference(tuned, untuned)[0]
    place = _place(tuned.budgets, budget)
    if place is None:
        return None
    lead = -float(difference[place])
    single = untuned.score[place] - tuned.pseudo_values[:, : place + 1].max(axis=1)
    ends = [lead, *(float(value) for value in single)]
    return Interval(lead, *_range(ends, is_single=is_single))


def _range(values: list[float], *, is_single: bool) -> tuple[float, float]:
    return (math.nan, math.nan) if is_single else (min(values), max(values))


def _difference(tuned: Curve, untuned: Curve) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the difference at each budget, its standard error and degrees of freedom."""
    if not np.array_equal(tuned.budgets, untuned.budgets):
        raise ValueError("the curves have other budgets")
    difference = np.maximum.accumulate(tuned.score) - untuned.score
    parts = tuned.variance, untuned.variance
    total = parts[0] + parts[1]
    known = np.isfinite(total) & (total > 0)
    spread = np.where(known, parts[0] ** 2, 0.0) / tuned.freedom
    spread = spread + np.where(known, parts[1] ** 2, 0.0) / untuned.freedom
    freedom = np.ones(len(total))
    freedom[known] = total[known] ** 2 / spread[known]
    return difference, np.sqrt(total), freedom


def _place(budgets: FloatArray, budget: float) -> int | None:
    """Return the place of the largest budget that a budget affords; `None` beyond the curve."""
    reach = budget * (1 + 1e-9)
    place = int(np.searchsorted(budgets, reach, side="right")) - 1
    beyond = budget > budgets[-1] * (1 + 1e-9)
    return None if place < 0 or beyond else place


def _half_width(error: FloatArray, freedom: FloatArray, level: float) -> FloatArray:
    critical: FloatArray = np.asarray(stats.t.ppf(level, freedom))
    return critical * error


def _first(budgets: FloatArray, difference: FloatArray) -> float:
    """Return the first budget at which the difference is not negative."""
    reached = np.flatnonzero(difference >= -_ROUNDING)
    return float(budgets[reached[0]]) if len(reached) else NEVER
