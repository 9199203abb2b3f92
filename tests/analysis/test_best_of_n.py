"""The best of n trials: what selects it, and what is expected of it, against every subset."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.best_of_n import (
    best_weights,
    expected_best,
    expected_selected,
    selection_ranks,
)
from analysis.budgets import repeated_curve
from tests.analysis.drawn import SCORES, TWENTY, by_listing, columns, trials

# What selects


def test_the_higher_accuracy_is_selected_then_the_lower_loss():
    ranks = selection_ranks([0.5, 0.9, 0.9, 0.7], [0.1, 0.4, 0.3, 0.2])
    assert ranks.tolist() == [1, 3, 4, 2]


def test_trials_that_tie_in_both_share_a_rank():
    assert selection_ranks([0.5, 0.9, 0.5], [0.1, 0.4, 0.1]).tolist() == [1, 2, 1]


def test_a_diverged_trial_ranks_below_all_others():
    # numpy's argmin and argmax return the position of a NaN as the best.
    ranks = selection_ranks([math.nan, 0.0, 0.1, math.nan], [0.0, 99.0, 1.0, math.nan])
    assert ranks.tolist() == [0, 1, 2, 0]
    assert ranks.argmax() == 2
    assert selection_ranks([math.nan] * 3, [1.0, 2.0, math.nan]).tolist() == [0, 0, 0]


def test_a_missing_loss_ranks_below_every_loss_of_the_same_accuracy():
    assert selection_ranks([0.9, 0.9, 0.8], [math.nan, 5.0, 0.1]).tolist() == [2, 3, 1]


def test_an_accuracy_of_zero_is_no_missing_accuracy():
    assert selection_ranks([0.0, math.nan], [1.0, 1.0]).tolist() == [1, 0]


@pytest.mark.parametrize("losses", [[1.0], [1.0, 2.0, 3.0]])
@pytest.mark.parametrize("validation", [[0.5, 0.6], [math.nan, math.nan]])
def test_losses_of_another_number_of_trials_are_refused(validation, losses):
    with pytest.raises(ValueError, match=r"[0-9]"):
        selection_ranks(validation, losses)


def test_a_diverged_trial_is_never_selected_while_another_has_a_score():
    validation = [math.nan, 0.3, math.nan, 0.6]
    ranks = selection_ranks(validation, [math.nan, 1.0, 0.0, 0.5])
    test_scores = np.array([0.99, 0.31, 0.99, 0.62])
    curve = repeated_curve([ranks], [test_scores])
    assert curve.score.tolist() == [0.99, 0.31, 0.31, 0.62]  # the first is all there is
    # Of three of the four trials at least one has a score.
    assert expected_selected(ranks, test_scores, [3])[0] <= 0.62


# The best of n


@pytest.mark.parametrize(
    ("n", "biased", "unbiased"),
    [
        (1, 0.635500, 0.635500),
        (2, 0.727575, 0.732421),
        (5, 0.813337, 0.822680),
        (10, 0.854061, 0.867062),
        (20, 0.878994, 0.900000),
    ],
)
def test_the_expected_best_is_that_of_the_published_example(n, biased, unbiased):
    assert expected_best(TWENTY, n, with_replacement=True) == pytest.approx(biased, abs=6e-7)
    assert expected_best(TWENTY, n) == pytest.approx(unbiased, abs=6e-7)


@given(st.lists(SCORES, min_size=1, max_size=8), st.data())
def test_the_expected_best_is_the_mean_over_all_subsets(values, data):
    n = data.draw(st.integers(1, len(values)))
    subsets = [max(subset) for subset in itertools.combinations(values, n)]
    assert expected_best(values, n) == pytest.approx(np.mean(subsets))


@given(st.lists(SCORES, min_size=1, max_size=5), st.data())
def test_with_replacement_it_is_the_mean_over_all_draws(values, data):
    n = data.draw(st.integers(1, len(values)))
    draws = [max(draw) for draw in itertools.product(values, repeat=n)]
    assert expected_best(values, n, with_replacement=True) == pytest.approx(np.mean(draws))
    assert expected_best(values, n, with_replacement=True) <= expected_best(values, n) + 1e-12


@given(st.lists(SCORES, min_size=1, max_size=30), st.booleans())
def test_the_expected_best_rises_from_the_mean_to_the_best(values, with_replacement):
    curve = [
        expected_best(values, n, with_replacement=with_replacement)
        for n in range(1, len(values) + 1)
    ]
    assert curve[0] == pytest.approx(np.mean(values))
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[-1] <= max(values) + 1e-12
    if not with_replacement:
        assert curve[-1] == pytest.approx(max(values))


def test_more_trials_than_there_are_is_refused_and_never_extrapolated():
    for n in (0, -1, 4):
        for with_replacement in (False, True):
            with pytest.raises(ValueError, match=f"the best of {n} cannot be told from 3 values"):
                expected_best([0.1, 0.2, 0.3], n, with_replacement=with_replacement)


@pytest.mark.parametrize("budget", [0, 4, 100])
def test_a_selection_from_more_trials_than_there_are_is_refused_and_never_zero(budget):
    with pytest.raises(ValueError, match=r"[0-9]"):
        expected_selected([1, 2, 3], [0.5, 0.6, 0.7], [1, budget])


def test_a_diverged_trial_is_refused_as_a_value_and_is_never_the_best():
    for missing in (math.nan, math.inf, -math.inf):
        for with_replacement in (False, True):
            with pytest.raises(ValueError, match="the values holds"):
                expected_best([0.5, missing, 0.1], 2, with_replacement=with_replacement)
    with pytest.raises(ValueError, match="the values is empty"):
        expected_best([], 1)


# Weights


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_weights_are_shares_of_all_subsets(count):
    weights = best_weights(count, range(1, count + 1))
    for n in range(1, count + 1):
        subsets = itertools.combinations(range(count), n)
        highest = np.bincount([subset[-1] for subset in subsets], minlength=count)
        assert weights[n - 1] == pytest.approx(highest / math.comb(count, n))


@given(st.integers(1, 400), st.data())
def test_the_weights_of_a_budget_sum_to_one(count, data):
    budgets = data.draw(st.lists(st.integers(1, count), min_size=1, max_size=5))
    weights = best_weights(count, budgets)
    assert weights.shape == (len(budgets), count)
    assert (weights >= 0).all()
    assert weights.sum(axis=1) == pytest.approx(np.ones(len(budgets)), abs=1e-11)


def test_weights_of_many_trials_are_exact():
    weights = best_weights(256, [1, 64, 256])
    for n, row in zip((1, 64, 256), weights, strict=True):
        exact = [math.comb(j - 1, n - 1) / math.comb(256, n) for j in range(1, 257)]
        assert row == pytest.approx(exact, rel=1e-9, abs=1e-300)


# What n of N select


@given(trials(1), st.data())
def test_the_expected_selected_score_is_the_mean_over_all_subsets(drawn, data):
    selection, score = columns(drawn)
    n = data.draw(st.integers(1, len(selection)))
    expected = by_listing(selection, score, n)
    assert expected_selected(selection, score, [n])[0] == pytest.approx(expected, abs=1e-12)
