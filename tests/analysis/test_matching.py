"""Budgets to match: crossings by hand, Welch's interval, and what a failure may never improve."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import written
from analysis.budgets import Curve, constant_curve, independent_curve, mean_of_repeats
from analysis.matching import (
    NEVER,
    BudgetToMatch,
    budget_to_match,
    lead_at,
    range_of_leads,
    range_to_match,
)
from tests.analysis.drawn import rng

SCORES = st.integers(0, 20).map(lambda k: k / 20)
ERRORS = st.sampled_from([0.0, 0.01, 0.05, 0.3, math.inf])
CURVES = st.lists(st.tuples(SCORES, ERRORS), min_size=4, max_size=4)


def curve(scores, errors, *, freedom=1e9, budgets=None):
    """A curve with these errors; an infinite one is a curve of one group."""
    score = np.array(scores, dtype=float)
    error = np.broadcast_to(np.asarray(errors, dtype=float), score.shape)
    groups = [score] if np.isinf(error).any() else [score - error, score + error]
    places = np.arange(1.0, len(score) + 1) if budgets is None else np.array(budgets)
    return Curve(places, score, np.array(groups), np.full(len(score), float(freedom)))


def drawn(points, *, freedom=5.0):
    return curve([score for score, _ in points], [error for _, error in points], freedom=freedom)


RISING = [0.5, 0.6, 0.7, 0.8]
LEVEL = curve([0.65] * 4, 0.0)


# By hand


@pytest.mark.parametrize(
    ("error", "low", "high", "more_than"),
    [
        (0.0, 3, 3, 2),
        (0.02, 3, 3, 2),  # 1.960 x 0.02 = 0.039 is less than the 0.05 at budgets 2 and 3
        (0.03, 2, 4, 2),  # 1.960 x 0.03 = 0.059 is more, 1.645 x 0.03 = 0.049 is not
        (0.04, 2, 4, 1),  # 1.645 x 0.04 = 0.066
        (0.08, 1, NEVER, 1),  # 1.960 x 0.08 = 0.157 is more than 0.15, 1.645 x 0.08 is not
        (0.10, 1, NEVER, 0),
    ],
)
def test_the_interval_ends_where_the_bounds_of_the_difference_cross_zero(
    error, low, high, more_than
):
    match = budget_to_match(curve(RISING, error), LEVEL)
    assert match == BudgetToMatch(budget=3, low=low, high=high, within=4, more_than=more_than)


def test_the_errors_of_both_sides_count():
    # 0.03 and 0.04 make 0.05: 1.960 x 0.05 = 0.098, 1.645 x 0.05 = 0.082.
    match = budget_to_match(curve(RISING, 0.03), curve([0.65] * 4, 0.04))
    assert (match.low, match.budget, match.high, match.more_than) == (2, 3, 4, 1)


def test_a_level_that_is_reached_exactly_is_reached():
    match = budget_to_match(curve(RISING, 0.0), curve([0.7] * 4, 0.0))
    assert (match.low, match.budget, match.high, match.more_than) == (3, 3, 3, 2)


def test_never_within_the_budget_is_an_answer():
    match = budget_to_match(curve(RISING, 0.001), curve([0.9] * 4, 0.001))
    assert match == BudgetToMatch(NEVER, NEVER, NEVER, within=4, more_than=4)
    unsure = budget_to_match(curve(RISING, 0.1), curve([0.9] * 4, 0.001))
    assert (unsure.low, unsure.budget, unsure.high) == (4, NEVER, NEVER)
    assert unsure.more_than == 3


def test_a_baseline_that_needs_no_tuning_matches_at_its_first_trial():
    match = budget_to_match(curve(RISING, 0.001), curve([0.4] * 4, 0.001))
    assert match == BudgetToMatch(1, 1, 1, within=4, more_than=0)


def test_the_first_crossing_counts_where_the_curve_falls_again():
    falling = curve([0.5, 0.7, 0.6, 0.4], 0.0)
    match = budget_to_match(falling, LEVEL)
    assert (match.low, match.budget, match.high, match.more_than) == (2, 2, 2, 1)
    assert lead_at(falling, LEVEL, 4) == pytest.approx((-0.05, -0.05, -0.05))


def test_the_budget_is_a_budget_and_not_its_position():
    match = budget_to_match(
        curve(RISING, 0.02, budgets=[2.5, 5, 7.5, 10]),
        curve([0.65] * 4, 0, budgets=[2.5, 5, 7.5, 10]),
    )
    assert match == BudgetToMatch(7.5, 7.5, 7.5, within=10, more_than=5)


def test_untuned_restarts_rise_too():
    restarts = curve([0.55, 0.65, 0.69, 0.71], 0.0)
    assert budget_to_match(curve(RISING, 0.0), restarts).budget == 3


# Where little is known


@pytest.mark.parametrize("level", [0.1, 0.65, 0.99])
def test_one_untuned_seed_gives_no_bound_at_all(level):
    tuned = independent_curve(rng().random(64), rng(1).random(64))
    match = budget_to_match(tuned, constant_curve([level], tuned.budgets))
    assert (match.low, match.high, match.more_than) == (1, NEVER, 0)
    lead = lead_at(tuned, constant_curve([level], tuned.budgets), 4)
    assert (lead.low, lead.high) == (-math.inf, math.inf)


def test_one_repeat_of_a_search_gives_no_bound_at_all():
    tuned = mean_of_repeats(np.arange(1.0, 5), np.array([RISING]))
    match = budget_to_match(tuned, constant_curve([0.64, 0.66, 0.65], tuned.budgets))
    assert match == BudgetToMatch(3, 1, NEVER, within=4, more_than=0)


def test_few_seeds_widen_the_interval():
    few, many = (
        budget_to_match(curve(RISING, 0.03, freedom=freedom), LEVEL) for freedom in (1, 1e9)
    )
    assert (many.low, many.high) == (2, 4)
    assert (few.low, few.high) == (1, NEVER)


@pytest.mark.parametrize("count", [8, 64, 256, 1000, 2000])
@pytest.mark.parametrize("score", [1.0, 0.1])
def test_trials_that_all_equal_the_untuned_method_match_it_at_once(count, score):
    tuned = independent_curve(range(count), [score] * count)
    match = budget_to_match(tuned, constant_curve([score] * 10, tuned.budgets))
    assert (match.budget, match.low) == (1, 1)
    assert match.more_than == 0


def test_failures_alone_do_not_show_that_no_trial_succeeds():
    tuned = independent_curve(range(64), [0.1] * 64)
    match = budget_to_match(tuned, constant_curve([0.8] * 10, tuned.budgets))
    assert (match.budget, match.low, match.high) == (NEVER, 1, NEVER)
    assert match.more_than == 0


def test_curves_over_other_budgets_are_refused():
    for other in (curve(RISING, 0, budgets=[1, 2, 3, 5]), curve(RISING[:3], 0)):
        for compare in (
            budget_to_match,
            range_to_match,
            lambda a, b: lead_at(a, b, 2),
            lambda a, b: range_of_leads(a, b, 2),
        ):
            with pytest.raises(ValueError, match="the curves have other budgets"):
                compare(other, LEVEL)


# What always holds


@given(CURVES, CURVES, st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_the_budget_lies_in_its_interval_and_claims_do_not_contradict_it(
    tuned, untuned, confidence
):
    match = budget_to_match(drawn(tuned), drawn(untuned), confidence=confidence)
    assert match.low <= match.budget <= match.high
    assert match.more_than < match.budget
    assert match.more_than < match.high
    assert match.more_than <= match.within == 4
    assert {match.budget, match.low, match.high} <= {1, 2, 3, 4, NEVER}


@given(CURVES, CURVES, st.lists(SCORES, min_size=4, max_size=4))
def test_a_better_untuned_method_never_lowers_the_budget(tuned, untuned, gains):
    better = [(score + gain, error) for (score, error), gain in zip(untuned, gains, strict=True)]
    before, after = (budget_to_match(drawn(tuned), drawn(side)) for side in (untuned, better))
    for smaller, larger in zip(before, after, strict=True):
        assert smaller <= larger


@given(CURVES, CURVES)
def test_more_confidence_never_narrows_the_interval(tuned, untuned):
    levels = (0.5, 0.8, 0.95, 0.99)
    found = [budget_to_match(drawn(tuned), drawn(untuned), confidence=level) for level in levels]
    for narrow, wide in itertools.pairwise(found):
        assert wide.low <= narrow.low
        assert wide.high >= narrow.high
        assert (wide.budget, wide.more_than) == (narrow.budget, narrow.more_than)


@given(CURVES, CURVES, st.sampled_from([-0.5, 0.25, 1.0]))
def test_a_shift_of_all_scores_changes_no_budget(tuned, untuned, shift):
    # Away from ties, which rounding may break.
    tuned = [(score + 0.025, error) for score, error in tuned]
    moved = [[(score + shift, error) for score, error in side] for side in (tuned, untuned)]
    before = budget_to_match(drawn(tuned), drawn(untuned))
    after = budget_to_match(drawn(moved[0]), drawn(moved[1]))
    assert before == after


@given(
    st.lists(st.tuples(st.integers(1, 9), SCORES), min_size=8, max_size=16),
    SCORES,
    st.integers(1, 5),
)
def test_a_failed_trial_never_lowers_the_budget_that_a_baseline_needs(trials, level, failures):
    selection, score = np.array(trials).T
    failed = [*selection, *[0] * failures], [*score, *[0.0] * failures]

    def budget(chosen, read):
        tuned = independent_curve(chosen, read, max_budget=5)
        return budget_to_match(tuned, constant_curve([level + 1e-3], tuned.budgets)).budget

    assert budget(*failed) >= budget(selection, score)


@given(st.lists(SCORES, min_size=1, max_size=6), st.integers(1, 3))
def test_an_untuned_run_that_failed_never_raises_the_budget_that_is_needed(scores, failures):
    tuned = curve(RISING, 0.01)
    floor = [0.0] * failures
    before, after = (
        budget_to_match(tuned, constant_curve(side, tuned.budgets)).budget
        for side in (scores, scores + floor)
    )
    assert after <= before


def test_another_unit_multiplies_every_budget_and_never_stays_never():
    match = BudgetToMatch(budget=3, low=2, high=NEVER, within=16, more_than=1)
    assert match.times(0.5) == BudgetToMatch(1.5, 1, NEVER, 8, 0.5)
    assert BudgetToMatch(NEVER, NEVER, NEVER, 4, 0).times(10).budget == NEVER


# The lead after a budget


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_lead_over_one_setting_is_welchs_interval(confidence):
    first, second = rng(1).normal(0.7, 0.02, 10), rng(2).normal(0.6, 0.05, 6)
    budgets = np.array([1.0])
    lead = lead_at(
        constant_curve(second, budgets), constant_curve(first, budgets), 1, confidence=confidence
    )
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    assert lead == pytest.approx((first.mean() - second.mean(), welch.low, welch.high))


def test_the_lead_is_over_the_best_curve_so_far():
    tuned = curve([0.5, 0.7, 0.6, 0.8], 0.0)
    leads = [lead_at(tuned, LEVEL, budget).estimate for budget in (1, 2, 3, 4)]
    assert leads == pytest.approx([0.15, -0.05, -0.05, -0.15])


def test_a_lead_is_known_between_budgets_and_never_beyond_them():
    tuned = curve(RISING, 0.02)
    assert lead_at(tuned, LEVEL, 2.9) == lead_at(tuned, LEVEL, 2)
    assert lead_at(tuned, LEVEL, 4 * (1 + 1e-12)) == lead_at(tuned, LEVEL, 4)
    for beyond in (0.5, 4.5, 16, NEVER):
        assert lead_at(tuned, LEVEL, beyond) is None
        assert range_of_leads(tuned, LEVEL, beyond) is None


@given(CURVES, SCORES, st.lists(ERRORS, min_size=4, max_size=4), st.integers(1, 4))
def test_a_lead_over_a_method_that_is_not_tuned_agrees_with_its_budget(
    tuned, level, errors, budget
):
    untuned = drawn([(level, error) for error in errors])
    match = budget_to_match(drawn(tuned), untuned)
    lead = lead_at(drawn(tuned), untuned, budget)
    assert lead.low <= lead.estimate <= lead.high
    if lead.estimate > 1e-9:
        assert match.budget > budget
    if lead.low > 1e-9:
        assert match.high > budget


# Few repeats


REPEATS = np.array([[0.5, 0.7, 0.7], [0.6, 0.6, 0.6], [0.4, 0.5, 0.8]])


def test_few_repeats_have_a_range_and_no_claim():
    tuned = mean_of_repeats(np.array([1.0, 2.0, 3.0]), REPEATS)  # means 0.5, 0.6, 0.7
    untuned = constant_curve([0.64, 0.66], tuned.budgets)
    match = range_to_match(tuned, untuned)
    assert match == BudgetToMatch(budget=3, low=2, high=NEVER, within=3, more_than=0)
    leads = [range_of_leads(tuned, untuned, budget) for budget in (1, 2, 3)]
    assert leads[0] == pytest.approx((0.15, 0.05, 0.25))
    assert leads[1] == pytest.approx((0.05, -0.05, 0.15))
    assert leads[2] == pytest.approx((-0.05, -0.15, 0.05))
    assert range_of_leads(tuned, untuned, 2.5) == leads[1]


def test_one_repeat_has_no_range():
    tuned = mean_of_repeats(np.array([1.0, 2.0, 3.0]), REPEATS[:1])
    untuned = constant_curve([0.64, 0.66], tuned.budgets)
    match = range_to_match(tuned, untuned, is_single=True)
    lead = range_of_leads(tuned, untuned, 1, is_single=True)
    assert match == pytest.approx((2, math.nan, math.nan, 3, 0), nan_ok=True)
    assert lead == pytest.approx((0.15, math.nan, math.nan), nan_ok=True)
    assert written.budget(match) == "2"
    assert written.points(lead) == "+15.00"


@given(st.lists(st.lists(SCORES, min_size=4, max_size=4), min_size=1, max_size=5), SCORES)
def test_an_estimate_lies_in_its_range_over_repeats(repeats, level):
    tuned = mean_of_repeats(np.arange(1.0, 5), np.array(repeats))
    untuned = constant_curve([level], tuned.budgets)
    match = range_to_match(tuned, untuned)
    assert match.low <= match.budget <= match.high
    assert match.more_than == 0
    for budget in (1, 2, 3, 4):
        lead = range_of_leads(tuned, untuned, budget)
        assert lead.low - 1e-9 <= lead.estimate <= lead.high + 1e-9
