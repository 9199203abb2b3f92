"""What a budget of tuning buys: the expected score of the best of n trials, and its error.

Selection and score are two columns everywhere: a search selects on validation, and what it selected
is read on test. Nothing here is told which is which; `selection` is all that selects.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import gammaln

from analysis.arrays import FloatArray, finite
from analysis.intervals import Interval

TRIALS_PER_BUDGET = 4
"""A curve reaches to n only if there are at least 4 n trials: beyond, it rests on a few of them."""

FEWEST_REPEATS = 10
"""Repeats of an adaptive search from which on a range is replaced by an interval."""


class Curve(NamedTuple):
    """An expected score at each budget, with what its error is computed from."""

    budgets: FloatArray
    """Shape (budgets,): trials, gradient evaluations or seconds, increasing."""
    score: FloatArray
    """Shape (budgets,)."""
    replicates: FloatArray
    """Shape (groups, budgets): the curve without one group of the data each (jackknife); one row
    means that no error can be given."""
    freedom: FloatArray
    """Shape (budgets,): degrees of freedom of the error."""

    @property
    def variance(self) -> FloatArray:
        """The jackknife variance of `score`, shape (budgets,); infinite if there is one group."""
        groups = len(self.replicates)
        if groups < 2:
            return np.full(len(self.score), np.inf)
        centred = self.replicates - self.replicates.mean(axis=0)
        variance: FloatArray = (groups - 1) / groups * (centred**2).sum(axis=0)
        return variance

    @property
    def pseudo_values(self) -> FloatArray:
        """The jackknife's pseudo-values, shape (groups, budgets).

        If the curve is a mean of repeats, they are the repeats' own curves.
        """
        groups = len(self.replicates)
        values: FloatArray = groups * self.score - (groups - 1) * self.replicates
        return values

    def upto(self, budget: float) -> "Curve":
        """Return the part of the curve with budgets of at most `budget`."""
        kept = self.budgets <= budget
        return Curve(
            self.budgets[kept], self.score[kept], self.replicates[:, kept], self.freedom[kept]
        )

    def interval_at(self, budget: float, *, confidence: float = 0.95) -> Interval:
        """Return the score at a budget of the curve, with its interval.

        Raises:
            ValueError: The curve has no such budget.
        """
        places = np.flatnonzero(self.budgets == budget)
        if not len(places):
            raise ValueError(f"the curve has no budget of {budget:g}")
        place = places[0]
        score = float(self.score[place])
        critical = stats.t.ppf((1 + confidence) / 2, self.freedom[place])
        half = float(critical * np.sqrt(self.variance[place]))
        return Interval(score, score - half, score + half)


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


def independent_curve(
    selection: npt.ArrayLike, score: npt.ArrayLike, *, max_budget: int | None = None
) -> Curve:
    """Return the expected score of the selected of n trials, for a search of independent draws.

    The U-statistic over all subsets of n trials, of which the highest `selection` is chosen and
    its `score` read. Trials that tie in selection share their mean score. The error is the
    jackknife's, leaving out one trial at a time. Trials that all score the same have none: they
    say nothing of what others would have scored.

    Args:
        selection: Shape (N,): what selects; see `selection_ranks`.
        score: Shape (N,): what is read; a trial without a score has a floor here.
        max_budget: Largest n; if not given, a quarter of N.

    Raises:
        ValueError: A value is missing, the shapes differ, or there are too few trials.
    """
    ties = _in_selection_order(selection, score)
    ordered = ties.means
    count = len(ordered)
    top = count // TRIALS_PER_BUDGET if max_budget is None else max_budget
    if count < 2 or not 1 <= top < count:
        raise ValueError(f"{count} trials are too few for a curve to {max(top, 1)}")
    budgets = np.arange(1, top + 1, dtype=np.float64)
    fewer = best_weights(count - 1, budgets)
    # Without trial i, those above it move down by one.
    nothing = np.zeros((top, 1))
    below = np.concatenate([nothing, np.cumsum(fewer * ordered[:-1], axis=1)], axis=1)
    above = np.cumsum((fewer * ordered[1:])[:, ::-1], axis=1)[:, ::-1]
    without = below + np.concatenate([above, nothing], axis=1) + _own_part(ties, fewer)
    score_of_best = best_weights(count, budgets) @ ordered
    return Curve(
        budgets=budgets,
        score=score_of_best,
        replicates=without.T if np.ptp(ties.scores) else score_of_best[None, :],
        freedom=np.maximum(count / budgets - 1, 1.0),
    )


def expected_selected(
    selection: npt.ArrayLike, score: npt.ArrayLike, budgets: npt.ArrayLike
) -> FloatArray:
    """Return the expected score of the selected of n independent trials, for each n of `budgets`.

    Raises:
        ValueError: A value is missing, or the shapes differ.
    """
    ordered = _in_selection_order(selection, score).means
    expected: FloatArray = best_weights(len(ordered), budgets) @ ordered
    return expected


def repeated_curve(selection: npt.ArrayLike, score: npt.ArrayLike) -> Curve:
    """Return the mean score of what repeats of an adaptive search have selected after n trials.

    A trial of an adaptive search depends on those before it: nothing but whole searches is
    repeated. Of trials that tie in selection the earlier one is kept.

    Args:
        selection: Shape (repeats, n), in the order of proposing.
        score: Shape (repeats, n).

    Raises:
        ValueError: A value is missing, or the shapes differ.
    """
    chosen, read = same_shape(selection, score, ndim=2)
    budgets = np.arange(1, chosen.shape[1] + 1, dtype=np.float64)
    return mean_of_repeats(budgets, np.take_along_axis(read, incumbents(chosen), axis=1))


def constant_curve(scores: npt.ArrayLike, budgets: FloatArray) -> Curve:
    """Return the mean of scores that no tuning changes, at each budget: an untuned method.

    Args:
        scores: Shape (seeds,).
        budgets: Shape (budgets,).

    Raises:
        ValueError: A score is missing.
    """
    values = finite(scores, "the scores")
    count = len(values)
    ones = np.ones(len(budgets))
    without = (values.sum() - values) / (count - 1) if count > 1 else values
    return Curve(
        budgets=budgets,
        score=values.mean() * ones,
        replicates=without[:, None] * ones,
        freedom=max(1.0, count - 1.0) * ones,
    )


def mean_of_repeats(budgets: FloatArray, curves: FloatArray) -> Curve:
    """Return the mean of the curves of whole searches, shape (repeats, budgets)."""
    repeats = len(curves)
    total = curves.sum(axis=0)
    without = (total - curves) / (repeats - 1) if repeats > 1 else curves
    if not np.ptp(curves, axis=0).any():  # equal repeats say nothing of others
        without = without[:1]
    return Curve(budgets, total / repeats, without, np.full(len(budgets), max(1.0, repeats - 1.0)))


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


def same_shape(
    selection: npt.ArrayLike, score: npt.ArrayLike, *, ndim: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return what selects and what is read as arrays of one shape.

    Raises:
        ValueError: The shapes differ, or a value is missing or infinite.
    """
    chosen = finite(selection, "the selection", ndim=ndim)
    read = finite(score, "the scores", ndim=ndim)
    if chosen.shape != read.shape:
        raise ValueError(f"selection {chosen.shape} and scores {read.shape} do not match")
    return chosen, read


class _Ordered(NamedTuple):
    """Trials by ascending selection; all of shape (trials,)."""

    scores: FloatArray
    means: FloatArray
    """Of the trials that tie in selection with each one: no order of rows can matter."""
    first: npt.NDArray[np.intp]
    """Place of the first trial that ties with each one."""
    sizes: npt.NDArray[np.intp]
    """Trials that tie with each one, itself included."""


def _in_selection_order(selection: npt.ArrayLike, score: npt.ArrayLike) -> _Ordered:
    chosen, read = same_shape(selection, score)
    order = np.lexsort((read, chosen))
    scores = read[order]
    _, first, group, sizes = np.unique(
        chosen[order], return_index=True, return_inverse=True, return_counts=True
    )
    # Equal scores have exactly their value as mean.
    lowest = scores[first]
    means = lowest + np.bincount(group, weights=scores - lowest[group]) / sizes
    return _Ordered(scores, means[group], first[group], sizes[group])


def _own_part(ties: _Ordered, weights: FloatArray) -> FloatArray:
    """Return what leaving out a trial changes in the mean of those that tie with it.

    Args:
        ties: The trials.
        weights: Of one trial less, shape (budgets, trials - 1).

    Returns:
        Shape (budgets, trials).
    """
    total = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    others = total[:, ties.first + ties.sizes - 1] - total[:, ties.first]
    part: FloatArray = others * (ties.means - ties.scores) / np.maximum(ties.sizes - 1, 1)
    return part
