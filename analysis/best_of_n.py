"""The best of n trials: what selects, and the expected score of what is selected."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from analysis.arrays import FloatArray, finite, same_shape


class Ordered(NamedTuple):
    """Trials by ascending selection; all of shape (trials,)."""

    scores: FloatArray
    means: FloatArray
    """Of the trials that tie in selection with each one: no order of rows can matter."""
    first: npt.NDArray[np.intp]
    """Place of the first trial that ties with each one."""
    sizes: npt.NDArray[np.intp]
    """Trials that tie with each one, itself included."""


def selection_ranks(validation: npt.ArrayLike, loss: npt.ArrayLike) -> FloatArray:
    """Return what a search selects by: the higher validation accuracy, then the lower loss.

    Args:
        validation: Shape (n,); NaN for a trial without a score, which ranks below all others.
        loss: Shape (n,), of validation; NaN ranks below every loss.

    Returns:
        Dense ranks, shape (n,), ties sharing one; 0 for trials without a score.

    Raises:
        ValueError: The shapes differ.
    """
    accuracy, losses = (np.asarray(column, dtype=np.float64) for column in (validation, loss))
    if accuracy.ndim != 1 or accuracy.shape != losses.shape:
        raise ValueError(f"{accuracy.shape} accuracies do not match {losses.shape} losses")
    losses = np.where(np.isnan(losses), np.inf, losses)
    scored = ~np.isnan(accuracy)
    ranks = np.zeros(len(accuracy))
    if scored.any():
        pairs = np.column_stack([accuracy[scored], -losses[scored]])
        ranks[scored] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel() + 1.0
    return ranks


def expected_best(values: npt.ArrayLike, n: int, *, with_replacement: bool = False) -> float:
    """Return the expected maximum of n of these values.

    Args:
        values: Shape (N,).
        n: At most N.
        with_replacement: Dodge et al. 2019, which is biased low. Without, the unbiased
            U-statistic of Tang et al. 2020: sum over j of y_(j) C(j - 1, n - 1) / C(N, n).

    Raises:
        ValueError: There are fewer than n values, or one is missing.
    """
    ordered = np.sort(finite(values, "the values"))
    count = len(ordered)
    if not 1 <= n <= count:
        raise ValueError(f"the best of {n} cannot be told from {count} values")
    if with_replacement:
        steps = (np.arange(count + 1) / count) ** n
        return float(np.diff(steps) @ ordered)
    return float(best_weights(count, [n])[0] @ ordered)


def best_weights(count: int, budgets: npt.ArrayLike) -> FloatArray:
    """Return P(the j-th lowest of `count` is the best of n drawn without replacement).

    Returns:
        C(j - 1, n - 1) / C(count, n), shape (budgets, count).

    Raises:
        ValueError: A budget is not between 1 and `count`.
    """
    n = np.asarray(budgets, dtype=np.float64)[:, None]
    if not ((n >= 1) & (n <= count)).all():
        raise ValueError(f"budgets of {count} trials lie between 1 and {count}")
    j = np.arange(1, count + 1, dtype=np.float64)[None, :]
    possible = j >= n
    above = np.where(possible, j - n, 0.0)
    log_ways = gammaln(j) - gammaln(n) - gammaln(above + 1)
    log_all = gammaln(count + 1) - gammaln(n + 1) - gammaln(count - n + 1)
    weights = np.where(possible, np.exp(log_ways - log_all), 0.0)
    # The logarithms of large numbers cost digits, which equal scores would show.
    total: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return total


def expected_selected(
    selection: npt.ArrayLike, score: npt.ArrayLike, budgets: npt.ArrayLike
) -> FloatArray:
    """Return the expected score of the selected of n independent trials, for each n of `budgets`.

    Raises:
        ValueError: A value is missing, or the shapes differ.
    """
    ordered = in_selection_order(selection, score).means
    expected: FloatArray = best_weights(len(ordered), budgets) @ ordered
    return expected


def incumbents(selection: FloatArray) -> npt.NDArray[np.intp]:
    """Return the place of the highest selection so far, the earliest of ties.

    Args:
        selection: Shape (sequences, n).
    """
    best = np.maximum.accumulate(selection, axis=1)
    is_new = np.ones(selection.shape, dtype=bool)
    is_new[:, 1:] = selection[:, 1:] > best[:, :-1]
    places = np.where(is_new, np.arange(selection.shape[1]), 0)
    latest: npt.NDArray[np.intp] = np.maximum.accumulate(places, axis=1)
    return latest


def in_selection_order(selection: npt.ArrayLike, score: npt.ArrayLike) -> Ordered:
    """Return trials by ascending selection.

    Raises:
        ValueError: A value is missing, or the shapes differ.
    """
    chosen, read = same_shape(selection, score)
    order = np.lexsort((read, chosen))
    scores = read[order]
    _, first, group, sizes = np.unique(
        chosen[order], return_index=True, return_inverse=True, return_counts=True
    )
    # Equal scores have exactly their value as mean.
    lowest = scores[first]
    means = lowest + np.bincount(group, weights=scores - lowest[group]) / sizes
    return Ordered(scores, means[group], first[group], sizes[group])
