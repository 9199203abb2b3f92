"""What a budget of gradient evaluations or seconds buys, where trials cost unequally much."""

import numpy as np
import numpy.typing as npt

from analysis.arrays import FloatArray, same_shape
from analysis.best_of_n import expected_selected, incumbents
from analysis.budgets import TRIALS_PER_BUDGET, Curve, mean_of_repeats

_ORDERS = 250
_GROUPS = 20


def independent_cost_curve(
    selection: npt.ArrayLike,
    score: npt.ArrayLike,
    cost: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    floor: float,
) -> Curve:
    """Return the expected score of what a search of independent draws selects within a cost.

    Trials are run in a random order until the next one would exceed the budget; every trial is
    charged. With unequal costs, n times the mean cost would be wrong, so orders are drawn: 250 of
    them give the difference to the best of n, whose expectation is known exactly (a control
    variate). The error is a jackknife over 20 groups of trials, in the same orders.

    Args:
        selection: Shape (N,).
        score: Shape (N,).
        cost: Shape (N,), of each trial, whatever became of it.
        rng: For the orders.
        floor: Score as long as no trial has ended.

    Returns:
        A curve at the multiples 1, 2 ... N / 4 of the mean cost.

    Raises:
        ValueError: A value is missing, the shapes differ, or there are too few trials.
    """
    chosen, read = same_shape(selection, score)
    spent = _charged(selection, cost)
    count = len(spent)
    if count < 2 * TRIALS_PER_BUDGET:
        raise ValueError(f"{count} trials are too few for a curve over costs")
    canonical = np.lexsort((spent, read, chosen))  # the order of rows must not matter
    chosen, read, spent = chosen[canonical], read[canonical], spent[canonical]
    numbers = np.arange(1, count // TRIALS_PER_BUDGET + 1)
    budgets = numbers * spent.mean()
    orders = rng.permuted(np.tile(np.arange(count), (_ORDERS, 1)), axis=1)
    groups = min(_GROUPS, count)
    member = rng.permutation(count) % groups

    def expected(kept: npt.NDArray[np.bool_]) -> FloatArray:
        taken = orders[kept[orders]].reshape(_ORDERS, -1)
        within = _within_costs(chosen[taken], read[taken], spent[taken], budgets, floor)
        first = taken[:, : numbers[-1]]
        of_n = np.take_along_axis(read[first], incumbents(chosen[first]), axis=1)
        exact = expected_selected(chosen[kept], read[kept], numbers)
        total: FloatArray = exact + (within - of_n).mean(axis=0)
        return total

    everything = np.ones(count, dtype=bool)
    whole = expected(everything)
    without = [expected(member != group) for group in range(groups)] if np.ptp(read) else [whole]
    freedom = np.minimum(groups, spent.sum() / budgets) - 1
    return Curve(
        budgets=budgets,
        score=whole,
        replicates=np.stack(without),
        freedom=np.maximum(freedom, 1.0),
    )


def repeated_cost_curve(
    selection: npt.ArrayLike, score: npt.ArrayLike, cost: npt.ArrayLike, *, floor: float
) -> Curve:
    """Return the mean score of what repeats of an adaptive search have selected within a cost.

    Args:
        selection: Shape (repeats, n), in the order of proposing.
        score: Shape (repeats, n).
        cost: Shape (repeats, n), of each trial, whatever became of it.
        floor: Score as long as no trial has ended.

    Returns:
        A curve at the multiples 1, 2 ... n of the mean cost.

    Raises:
        ValueError: A value is missing, or the shapes differ.
    """
    chosen, read = same_shape(selection, score, ndim=2)
    spent = _charged(selection, cost, ndim=2)
    budgets = np.arange(1, chosen.shape[1] + 1) * spent.mean()
    return mean_of_repeats(budgets, _within_costs(chosen, read, spent, budgets, floor))


def _charged(selection: npt.ArrayLike, cost: npt.ArrayLike, *, ndim: int = 1) -> FloatArray:
    _, spent = same_shape(selection, cost, ndim=ndim)
    if spent.min() < 0 or not spent.mean() > 0:
        raise ValueError("a cost is negative, or all are 0")
    return spent


def _within_costs(
    selection: FloatArray,
    score: FloatArray,
    cost: FloatArray,
    budgets: FloatArray,
    floor: float,
) -> FloatArray:
    """Return the score selected within each budget by each sequence, shape (sequences, budgets)."""
    # A sum of equal costs must not miss its multiple by rounding.
    reach = budgets * (1 + 1e-9)
    most = _most_trials(cost, reach[-1])
    best = np.take_along_axis(score[:, :most], incumbents(selection[:, :most]), axis=1)
    spent = np.cumsum(cost[:, :most], axis=1)
    # The number of trials that have ended at each budget, from when each one fits.
    fits = np.searchsorted(reach, spent)
    rows = np.arange(len(spent))[:, None] * (len(reach) + 1)
    counts = np.bincount((fits + rows).ravel(), minlength=len(spent) * (len(reach) + 1))
    ended = counts.reshape(len(spent), -1)[:, :-1].cumsum(axis=1)
    with_floor = np.concatenate([np.full((len(best), 1), floor), best], axis=1)
    return np.take_along_axis(with_floor, ended, axis=1)


def _most_trials(cost: FloatArray, budget: float) -> int:
    """Return how many trials of any sequence can end within a budget: the cheapest ones."""
    cheapest = np.cumsum(np.sort(cost, axis=1), axis=1)
    return max(1, int((cheapest <= budget).sum(axis=1).max()))
