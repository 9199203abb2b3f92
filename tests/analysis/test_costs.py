"""Curves over costs: against every order of trials, and against the closed form of equal costs."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.best_of_n import expected_selected
from analysis.budgets import independent_curve, repeated_curve
from analysis.costs import independent_cost_curve, repeated_cost_curve
from tests.analysis.drawn import rng

SCORES = st.integers(0, 20).map(lambda k: k / 20)
TRIALS = st.tuples(st.integers(0, 6), SCORES, st.integers(1, 9))
SEARCHES = st.lists(TRIALS, min_size=8, max_size=24)


def columns(drawn):
    return np.array(drawn, dtype=float).T


def drawn_search(count, seed=0):
    selection = rng(seed).random(count)
    score = selection + rng(seed + 1).normal(0, 0.1, count)
    return selection, score, rng(seed + 2).lognormal(0, 0.5, count)


def spent_by_hand(selection, score, cost, budgets, floor):
    """Run trials in this order until the next would exceed the budget, at each budget."""
    found = []
    for budget in budgets:
        spent, best, read = 0, -math.inf, floor
        for chosen, value, price in zip(selection, score, cost, strict=True):
            spent += price
            if spent > budget * (1 + Fraction(1, 10**9)):
                break
            if chosen > best:
                best, read = chosen, value
        found.append(read)
    return found


# Repeats of an adaptive search


@given(st.lists(st.lists(TRIALS, min_size=5, max_size=5), min_size=1, max_size=4))
def test_a_repeat_spends_its_budget_in_the_order_of_its_trials(repeats):
    selection, score, cost = (np.array([columns(r)[part] for r in repeats]) for part in range(3))
    curve = repeated_cost_curve(selection, score, cost, floor=0.1)
    exact = [[Fraction(int(price)) for price in row] for row in cost]
    mean = sum(map(sum, exact)) / cost.size
    budgets = [mean * n for n in range(1, 6)]
    rows = zip(selection, score, exact, strict=True)
    expected = np.array([spent_by_hand(*row, budgets, 0.1) for row in rows])
    assert curve.budgets == pytest.approx([float(budget) for budget in budgets])
    assert curve.score == pytest.approx(expected.mean(axis=0))
    if np.ptp(expected, axis=0).any():
        error = expected.std(axis=0, ddof=1) / math.sqrt(len(repeats))
        assert np.sqrt(curve.variance) == pytest.approx(error, abs=1e-12)


def test_a_trial_counts_when_it_has_ended_and_not_before():
    # Mean cost 2: the second trial ends at 4, the third at 6.
    curve = repeated_cost_curve([[1, 2, 3]], [[0.5, 0.7, 0.9]], [[1, 3, 2]], floor=0.1)
    assert curve.budgets.tolist() == [2, 4, 6]
    assert curve.score.tolist() == [0.5, 0.7, 0.9]


def test_until_a_trial_has_ended_the_score_is_the_floor():
    curve = repeated_cost_curve([[1, 2, 3]], [[0.5, 0.7, 0.9]], [[4, 1, 1]], floor=0.1)
    assert curve.score.tolist() == [0.1, 0.5, 0.9]


def test_a_failed_trial_is_charged():
    selection, score = [[0, 1, 2, 0]], [[0.1, 0.5, 0.9, 0.1]]
    cheap = repeated_cost_curve(selection, score, [[0, 1, 1, 2]], floor=0.1)
    dear = repeated_cost_curve(selection, score, [[2, 1, 1, 0]], floor=0.1)
    assert cheap.budgets.tolist() == dear.budgets.tolist() == [1, 2, 3, 4]
    assert cheap.score.tolist() == [0.5, 0.9, 0.9, 0.9]
    assert dear.score.tolist() == [0.1, 0.1, 0.5, 0.9]


def test_what_costs_more_than_the_budget_is_not_selected():
    curve = repeated_cost_curve([[1, 9, 2]], [[0.5, 0.99, 0.6]], [[1, 7, 1]], floor=0.1)
    assert curve.budgets.tolist() == [3, 6, 9]
    assert curve.score.tolist() == [0.5, 0.5, 0.99]


@pytest.mark.parametrize("price", [0.1, 1 / 3, 7.0, 1e-3])
@pytest.mark.parametrize("count", [8, 64])
def test_equal_costs_give_exactly_the_curve_over_trials(count, price):
    selection, score, _ = drawn_search(count)
    costs = np.full(count, price)
    independent = independent_cost_curve(selection, score, costs, rng(), floor=-9.0)
    expected = independent_curve(selection, score)
    assert (independent.score == expected_selected(selection, score, expected.budgets)).all()
    assert (independent.score == expected.score).all()
    assert independent.budgets == pytest.approx(expected.budgets * price)
    table = [column.reshape(4, -1) for column in (selection, score, costs)]
    repeated = repeated_cost_curve(*table, floor=-9.0)
    assert (repeated.score == repeated_curve(*table[:2]).score).all()
    assert repeated.variance == pytest.approx(repeated_curve(*table[:2]).variance)


# A search of independent trials


def test_a_curve_over_costs_is_the_mean_over_all_orders():
    selection, score = [0, 0, 1, 2, 3, 4, 5, 6], [0.1, 0.1, 0.2, 0.5, 0.4, 0.7, 0.8, 0.6]
    cost = [3, 1, 2, 9, 4, 1, 6, 2]
    mean = sum(cost) / 8
    outcomes = np.zeros(2)
    for order in itertools.permutations(range(8)):
        spent, best, read = 0, -1, [0.1, 0.1]
        for place in order:
            spent += cost[place]
            if spent > 2 * mean:
                break
            if selection[place] > best:
                best, read[1] = selection[place], score[place]
                if spent <= mean:
                    read[0] = score[place]
        outcomes += read
    curves = [
        independent_cost_curve(selection, score, cost, rng(seed), floor=0.1) for seed in range(60)
    ]
    assert curves[0].budgets == pytest.approx([mean, 2 * mean])
    found = np.array([curve.score for curve in curves])
    error = found.std(axis=0, ddof=1) / math.sqrt(60)
    assert (error < 0.005).all()
    assert (np.abs(found.mean(axis=0) - outcomes / math.factorial(8)) < 4 * error).all()


def test_with_unequal_costs_trials_times_their_mean_cost_would_be_wrong():
    # Good trials cost ten times as much: one mean cost does not buy what one trial gives.
    selection = np.repeat([0.0, 1.0], 16)
    cost = np.where(selection > 0, 10.0, 1.0)
    curve = independent_cost_curve(selection, selection, cost, rng(), floor=0.0)
    assert curve.score[0] < 0.25
    assert independent_curve(selection, selection).score[0] == pytest.approx(0.5)


def test_failed_trials_of_an_independent_search_are_charged():
    selection, score, cost = drawn_search(32)
    failed = np.arange(32) % 2 == 0
    selection, score = np.where(failed, -9.0, selection), np.where(failed, -9.0, score)
    free = independent_cost_curve(selection, score, np.where(failed, 0.0, cost), rng(), floor=-9.0)
    charged = independent_cost_curve(selection, score, cost, rng(), floor=-9.0)
    last = min(free.budgets[-1], charged.budgets[-1])
    at_last = [np.interp(last, curve.budgets, curve.score) for curve in (free, charged)]
    assert at_last[0] > at_last[1] + 0.05


@given(SEARCHES, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(drawn, random):
    shuffled = random.sample(drawn, len(drawn))
    first, second = (
        independent_cost_curve(*columns(rows), rng(1), floor=0.0) for rows in (drawn, shuffled)
    )
    for before, after in zip(first, second, strict=True):
        assert after == pytest.approx(before, abs=1e-12)


@given(
    st.lists(st.lists(TRIALS, min_size=4, max_size=4), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_order_of_repeats_changes_nothing(repeats, random):
    def curve(rows):
        table = (np.array([columns(r)[part] for r in rows]) for part in range(3))
        return repeated_cost_curve(*table, floor=0.0)

    first, second = curve(repeats), curve(random.sample(repeats, len(repeats)))
    assert second.score == pytest.approx(first.score, abs=1e-12)
    assert second.variance == pytest.approx(first.variance, abs=1e-12)


@given(SEARCHES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_another_unit_of_cost_stretches_the_budgets_and_nothing_else(drawn, factor):
    selection, score, cost = columns(drawn)
    plain = independent_cost_curve(selection, score, cost, rng(), floor=0.0)
    other = independent_cost_curve(selection, score, cost * factor, rng(), floor=0.0)
    assert (other.budgets == plain.budgets * factor).all()
    assert (other.score == plain.score).all()
    assert (other.variance == plain.variance).all()


@given(SEARCHES, st.sampled_from([-0.5, 0.25]), st.sampled_from([0.5, 100.0]))
def test_a_curve_moves_and_stretches_with_its_scores(drawn, shift, factor):
    selection, score, cost = columns(drawn)
    plain = independent_cost_curve(selection, score, cost, rng(), floor=0.0)
    changed = independent_cost_curve(selection, score * factor + shift, cost, rng(), floor=shift)
    assert changed.score == pytest.approx(plain.score * factor + shift, abs=1e-9 * factor)
    assert np.sqrt(changed.variance) == pytest.approx(
        np.sqrt(plain.variance) * factor, abs=1e-7 * factor
    )


@given(
    st.lists(st.lists(TRIALS, min_size=5, max_size=5), min_size=2, max_size=4), st.integers(0, 99)
)
def test_selection_never_sees_the_test_scores(repeats, seed):
    # Whatever the test scores are, the curve reads the same trials of them.
    selection, score, cost = (np.array([columns(r)[part] for r in repeats]) for part in range(3))
    other = rng(seed).random(score.shape)
    of_sum = repeated_cost_curve(selection, score + 3 * other, cost, floor=0.0)
    parts = [repeated_cost_curve(selection, part, cost, floor=0.0).score for part in (score, other)]
    assert of_sum.score == pytest.approx(parts[0] + 3 * parts[1], abs=1e-12)


def test_a_curve_reaches_to_a_quarter_of_the_total_cost():
    selection, score, cost = drawn_search(64)
    curve = independent_cost_curve(selection, score, cost, rng(), floor=0.0)
    assert curve.budgets == pytest.approx(np.arange(1, 17) * cost.mean())
    assert curve.budgets[-1] == pytest.approx(cost.sum() / 4)
    assert len(curve.replicates) == 20
    assert (curve.variance > 0).all()
    assert (curve.freedom >= 1).all()


def test_the_same_generator_gives_the_same_curve():
    search = drawn_search(32)
    first, again, other = (independent_cost_curve(*search, rng(s), floor=0.0) for s in (1, 1, 2))
    assert (first.score == again.score).all()
    assert (first.variance == again.variance).all()
    assert (first.score != other.score).any()
    assert other.score == pytest.approx(first.score, abs=0.05)


# What is refused


@pytest.mark.parametrize("count", [1, 7])
def test_too_few_trials_are_refused(count):
    with pytest.raises(ValueError, match=f"{count} trials are too few"):
        independent_cost_curve(*drawn_search(count), rng(), floor=0.0)
    independent_cost_curve(*drawn_search(8), rng(), floor=0.0)


def independent(selection, score, cost):
    return independent_cost_curve(selection, score, cost, rng(), floor=0.0)


def repeated(selection, score, cost):
    return repeated_cost_curve([selection], [score], [cost], floor=0.0)


@pytest.mark.parametrize("curve", [independent, repeated])
@pytest.mark.parametrize("missing", [math.nan, math.inf])
@pytest.mark.parametrize("column", range(3))
def test_a_missing_value_is_refused(curve, missing, column):
    search = [part.copy() for part in drawn_search(12)]
    search[column][3] = missing
    with pytest.raises(ValueError, match="holds"):
        curve(*search)


@pytest.mark.parametrize("curve", [independent, repeated])
@pytest.mark.parametrize("column", range(3))
def test_unequal_lengths_are_refused_and_not_cut_to_the_shorter(curve, column):
    search = list(drawn_search(12))
    search[column] = search[column][:-1]
    with pytest.raises(ValueError, match="do not match"):
        curve(*search)


@pytest.mark.parametrize("curve", [independent, repeated])
def test_an_empty_search_is_refused(curve):
    with pytest.raises(ValueError, match="is empty"):
        curve([], [], [])


@pytest.mark.parametrize("curve", [independent, repeated])
def test_a_negative_cost_is_refused(curve):
    selection, score, cost = drawn_search(12)
    cost[3] = -0.5
    with pytest.raises(ValueError, match="cost"):
        curve(selection, score, cost)


@pytest.mark.parametrize("curve", [independent, repeated])
def test_a_search_that_cost_nothing_has_no_curve_over_costs(curve):
    selection, score, cost = drawn_search(12)
    with pytest.raises(ValueError, match="cost"):
        curve(selection, score, 0 * cost)
