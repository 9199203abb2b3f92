"""Tuning as one number: how soon it pays, whether it beats a rival, what meta-training returns."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.arrays import FloatArray, finite
from analysis.best_of_n import best_weights, in_selection_order


class Tunability(NamedTuple):
    """Weighted means of a tuning curve (Sivaprasad et al. 2020)."""

    early: float
    """CPE: weights fall with the budget, proportional to T - k + 1."""
    uniform: float
    """CPU: all budgets count alike."""
    late: float
    """CPL: weights rise with the budget, proportional to k."""
    sharpness: float
    """Share of the budget that lies between 95 % and 100 % of the curve's own peak."""


def tunability(scores: npt.ArrayLike) -> Tunability:
    """Summarise the expected score after k = 1 ... T trials.

    Args:
        scores: Shape (T,), not negative.

    Raises:
        ValueError: A score is missing or negative.
    """
    curve = _running_maximum(scores)
    rising = np.arange(1, len(curve) + 1, dtype=np.float64)
    return Tunability(
        early=float(np.average(curve, weights=rising[::-1])),
        uniform=float(curve.mean()),
        late=float(np.average(curve, weights=rising)),
        sharpness=share_to_reach(curve, curve[-1]) - share_to_reach(curve, 0.95 * curve[-1]),
    )


def discounted_score(scores: npt.ArrayLike, decay: float) -> float:
    """Return the mean of a tuning curve with weights proportional to exp(-decay (k - 1)).

    Raises:
        ValueError: A score is missing or negative.
    """
    curve = _running_maximum(scores)
    return float(np.average(curve, weights=np.exp(-decay * np.arange(len(curve)))))


def share_to_reach(scores: npt.ArrayLike, score: float) -> float:
    """Return the share of the budget at which a tuning curve reaches a score; infinite if never.

    With `score` a fraction of the best method's peak, it is that method's global tunability.

    Raises:
        ValueError: A score is missing or negative.
    """
    curve = _running_maximum(scores)
    reached = np.flatnonzero(curve >= score)
    return (int(reached[0]) + 1) / len(curve) if len(reached) else math.inf


def probability_of_beating(
    first: tuple[npt.ArrayLike, npt.ArrayLike], second: tuple[npt.ArrayLike, npt.ArrayLike], n: int
) -> float:
    """Return P(what n trials of the first search select scores above what n of the second do).

    Over all subsets of n trials of either side, drawn without replacement; ties of scores are
    split. Trials without a score rank lowest and carry their floor.

    Args:
        first: `selection` and `score` of independent trials, each of shape (N,).
        second: The same, each of shape (M,).
        n: At most N and M.

    Raises:
        ValueError: There are fewer than n trials, or a value is missing.
    """
    left, right = _distribution(*first, n), _distribution(*second, n)
    scores = np.union1d(left[0], right[0])
    mass = [np.zeros(len(scores)), np.zeros(len(scores))]
    for side, (values, weights) in zip(mass, (left, right), strict=True):
        np.add.at(side, np.searchsorted(scores, values), weights)
    lower = np.cumsum(mass[1]) - mass[1]
    return float(mass[0] @ (lower + 0.5 * mass[1]))


def break_even_tasks(*, meta_cost: float, tuning_cost: float, run_cost: float) -> float:
    """Return the tasks after which meta-training has paid: C_meta / (C_tune - C_run).

    Args:
        meta_cost: Of meta-training, once.
        tuning_cost: Of tuning the baseline to the same score, on one task.
        run_cost: Of the meta-learned method, on one task.

    Returns:
        Infinite if tuning costs no more than the run.

    Raises:
        ValueError: A cost is negative, missing or infinite: a baseline that never matches has no
            cost of matching.
    """
    costs = finite([meta_cost, tuning_cost, run_cost], "the costs")
    if costs.min() < 0:
        raise ValueError("a cost is negative")
    saved = tuning_cost - run_cost
    return meta_cost / saved if saved > 0 else math.inf


def _running_maximum(scores: npt.ArrayLike) -> FloatArray:
    curve = finite(scores, "the curve")
    if curve.min() < 0:
        raise ValueError("a negative score has no share of a peak")
    maximum: FloatArray = np.maximum.accumulate(curve)
    return maximum


def _distribution(
    selection: npt.ArrayLike, score: npt.ArrayLike, n: int
) -> tuple[FloatArray, FloatArray]:
    """Return the scores that can be selected from n trials, and their probabilities."""
    ties = in_selection_order(selection, score)
    total = np.concatenate([[0.0], np.cumsum(best_weights(len(ties.scores), [n])[0])])
    # Trials that tie in selection are equally likely to be chosen.
    return ties.scores, (total[ties.first + ties.sizes] - total[ties.first]) / ties.sizes
