"""Tuning as one number: weights by hand, and wins counted over all subsets."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tunability import (
    break_even_tasks,
    discounted_score,
    probability_of_beating,
    share_to_reach,
    tunability,
)

SCORES = st.integers(0, 20).map(lambda k: k / 20)
CURVES = st.lists(SCORES, min_size=1, max_size=12)
TRIALS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=5)


def columns(trials):
    return tuple(np.array(trials, dtype=float).reshape(-1, 2).T)


# Weighted means of a curve


def test_the_weights_are_the_published_ones():
    # T = 3: early 3 2 1, late 1 2 3, of 6.
    found = tunability([0.2, 0.5, 0.8])
    assert found.early == pytest.approx((3 * 0.2 + 2 * 0.5 + 0.8) / 6)
    assert found.uniform == pytest.approx(0.5)
    assert found.late == pytest.approx((0.2 + 2 * 0.5 + 3 * 0.8) / 6)


@given(st.integers(1, 10), st.sampled_from([0.1, 0.01, 1e-4]))
def test_the_weights_of_each_mean_sum_to_one_and_are_read_off_one_step(length, decay):
    # A curve that steps from 0 to 1 at k shows the sum of the weights from k on.
    budgets = np.arange(1, length + 1)
    shown = {"early": [], "uniform": [], "late": [], "discounted": []}
    for k in budgets:
        step = (budgets >= k).astype(float)
        for name in ("early", "uniform", "late"):
            shown[name].append(getattr(tunability(step), name))
        shown["discounted"].append(discounted_score(step, decay))
    expected = {
        "early": length - budgets + 1.0,
        "uniform": np.ones(length),
        "late": budgets * 1.0,
        "discounted": np.exp(-decay * (budgets - 1)),
    }
    for name, weights in expected.items():
        assert shown[name][0] == pytest.approx(1)
        sums = np.cumsum(weights[::-1])[::-1] / weights.sum()
        assert shown[name] == pytest.approx(sums)


def test_the_sharpness_is_the_share_of_the_budget_from_95_to_100_percent_of_the_peak():
    # Peak 1.0 at the 8th of 10, 95 % at the 5th.
    curve = [0.1, 0.5, 0.8, 0.9, 0.95, 0.96, 0.97, 1.0, 1.0, 1.0]
    assert tunability(curve).sharpness == pytest.approx(0.3)
    assert tunability([0.7] * 5).sharpness == 0
    assert tunability([0.0] * 5).sharpness == 0
    assert tunability([0.7]).sharpness == 0


def test_a_curve_that_falls_keeps_its_best():
    assert tunability([0.2, 0.8, 0.5]) == tunability([0.2, 0.8, 0.8])
    assert discounted_score([0.2, 0.8, 0.5], 0.1) == discounted_score([0.2, 0.8, 0.8], 0.1)


@given(CURVES, st.sampled_from([0.1, 0.01, 1e-4]))
def test_early_means_are_below_late_means_and_all_stretch_with_the_scores(scores, decay):
    found = tunability(scores)
    assert found.early <= found.uniform + 1e-12 <= found.late + 2e-12
    assert found.late <= max(scores) + 1e-12
    assert scores[0] - 1e-12 <= found.early
    assert discounted_score(scores, decay) <= found.uniform + 1e-12
    assert discounted_score(scores, 0.0) == pytest.approx(found.uniform)
    doubled = tunability([2 * score for score in scores])
    assert doubled[:3] == pytest.approx([2 * mean for mean in found[:3]])
    assert doubled.sharpness == found.sharpness
    assert 0 <= found.sharpness < 1


def test_the_share_to_reach_a_score_counts_trials_and_not_positions():
    curve = [0.2, 0.5, 0.4, 0.9]
    assert share_to_reach(curve, 0.1) == 0.25
    assert share_to_reach(curve, 0.5) == 0.5
    assert share_to_reach(curve, 0.6) == 1.0
    assert share_to_reach(curve, 0.95) == math.inf


@given(CURVES, SCORES, SCORES)
def test_a_higher_score_is_never_reached_sooner(scores, first, second):
    lower, higher = sorted((first, second))
    assert share_to_reach(scores, lower) <= share_to_reach(scores, higher)
    assert share_to_reach(scores, max(scores)) <= 1


@pytest.mark.parametrize(
    "summary", [tunability, lambda c: discounted_score(c, 0.1), lambda c: share_to_reach(c, 0.5)]
)
def test_missing_negative_and_no_scores_are_refused(summary):
    with pytest.raises(ValueError, match="the curve holds 1 missing"):
        summary([0.5, math.nan])
    with pytest.raises(ValueError, match="the curve holds infinite"):
        summary([0.5, math.inf])
    with pytest.raises(ValueError, match="a negative score"):
        summary([-0.1, 0.5])
    with pytest.raises(ValueError, match="the curve is empty"):
        summary([])


# Who wins


def by_listing(first, second, n):
    """P(first wins) over all pairs of subsets, ties in score split, ties in selection shared."""

    def outcomes(trials):
        listed = []
        for subset in itertools.combinations(trials, n):
            best = max(selection for selection, _ in subset)
            read = [score for selection, score in subset if selection == best]
            listed.append([(score, 1 / len(read)) for score in read])
        return [(s, p / len(listed)) for outcome in listed for s, p in outcome]

    return sum(
        p * q * ((s > t) + 0.5 * (s == t)) for s, p in outcomes(first) for t, q in outcomes(second)
    )


@given(TRIALS, TRIALS, st.data())
def test_the_chance_of_beating_is_the_share_over_all_subsets(first, second, data):
    n = data.draw(st.integers(1, min(len(first), len(second))))
    found = probability_of_beating(columns(first), columns(second), n)
    assert found == pytest.approx(by_listing(first, second, n))


@given(TRIALS, TRIALS, st.randoms(use_true_random=False))
def test_no_order_of_methods_or_rows_decides(first, second, random):
    n = min(len(first), len(second))
    found = probability_of_beating(columns(first), columns(second), n)
    swapped = probability_of_beating(columns(second), columns(first), n)
    assert found + swapped == pytest.approx(1)
    shuffled = [random.sample(side, len(side)) for side in (first, second)]
    again = probability_of_beating(columns(shuffled[0]), columns(shuffled[1]), n)
    assert again == pytest.approx(found)


def test_ties_are_split_and_do_not_go_to_the_first_listed():
    same = [1, 2, 3], [0.5, 0.5, 0.5]
    for n in (1, 2, 3):
        assert probability_of_beating(same, same, n) == pytest.approx(0.5)


def test_what_is_selected_is_read_on_test_and_not_selected_there():
    # The first search's best test score belongs to the trial that validation likes least.
    first, second = ([1, 2, 3], [0.9, 0.2, 0.3]), ([1, 2, 3], [0.4, 0.4, 0.4])
    assert probability_of_beating(first, second, 3) == 0
    assert probability_of_beating(first, second, 1) == pytest.approx(1 / 3)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=2, max_size=5), TRIALS)
def test_a_failed_trial_in_place_of_one_never_helps_where_selection_is_right(trials, rivals):
    # Selected on what is read.
    scores = sorted(score for _, score in trials)
    before = probability_of_beating((scores, scores), columns(rivals), 1)
    failed = [0, *scores[1:]]
    assert probability_of_beating((failed, failed), columns(rivals), 1) <= before + 1e-12
    longer = [0, *scores]
    for n in range(1, min(len(scores), len(rivals)) + 1):
        before = probability_of_beating((scores, scores), columns(rivals), n)
        assert probability_of_beating((longer, longer), columns(rivals), n) <= before + 1e-12


def test_draws_without_replacement_find_the_best_of_all():
    scores = np.arange(10.0)
    assert probability_of_beating((scores, scores), ([1] * 10, [8.5] * 10), 10) == pytest.approx(1)


def test_missing_unequal_and_too_few_trials_are_refused():
    good = [1, 2, 3], [0.1, 0.2, 0.3]
    for bad in ([1, 2, math.nan], good[1]), (good[0], [0.1, 0.2, math.nan]):
        for pair in (bad, good), (good, bad):
            with pytest.raises(ValueError, match="holds 1 missing"):
                probability_of_beating(*pair, 2)
    with pytest.raises(ValueError, match="do not match"):
        probability_of_beating(good, (good[0], good[1][:2]), 1)
    for n in (0, 4):
        with pytest.raises(ValueError, match="budgets of 3 trials lie between 1 and 3"):
            probability_of_beating(good, good, n)
    with pytest.raises(ValueError, match="budgets of 2 trials lie between 1 and 2"):
        probability_of_beating(good, ([1, 2], [0.1, 0.2]), 3)


# What meta-training returns


def test_a_hundred_hours_of_meta_training_pay_after_four_tasks():
    tasks = break_even_tasks(meta_cost=100, tuning_cost=25, run_cost=1.2)
    assert tasks == pytest.approx(100 / 23.8)
    assert round(tasks, 1) == 4.2


def test_meta_training_never_pays_where_tuning_is_as_cheap_as_the_run():
    for tuning_cost in (1.2, 1.0, 0.0):
        assert break_even_tasks(meta_cost=100, tuning_cost=tuning_cost, run_cost=1.2) == math.inf
    assert break_even_tasks(meta_cost=0, tuning_cost=25, run_cost=1.2) == 0


@pytest.mark.parametrize("name", ["meta_cost", "tuning_cost", "run_cost"])
def test_a_cost_that_is_no_cost_is_refused(name):
    costs = {"meta_cost": 100.0, "tuning_cost": 25.0, "run_cost": 1.2}
    with pytest.raises(ValueError, match="a cost is negative"):
        break_even_tasks(**{**costs, name: -1.0})
    for missing in (math.nan, math.inf):
        with pytest.raises(ValueError, match="the costs holds"):
            break_even_tasks(**{**costs, name: missing})
