"""Tuning curves: against every subset of trials, and what no order, failure or test score may do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.best_of_n import expected_selected, incumbents, selection_ranks
from analysis.budgets import (
    TRIALS_PER_BUDGET,
    Curve,
    constant_curve,
    independent_curve,
    mean_of_repeats,
    repeated_curve,
)
from tests.analysis.drawn import SCORES, TWENTY, by_listing, columns, trials


def without(values, place):
    return np.delete(np.asarray(values, dtype=float), place)


# A search of independent trials


@given(trials(2), st.data())
def test_the_curve_is_the_mean_over_all_subsets_of_each_size(drawn, data):
    selection, score = columns(drawn)
    top = data.draw(st.integers(1, len(selection) - 1))
    curve = independent_curve(selection, score, max_budget=top)
    assert curve.budgets.tolist() == list(range(1, top + 1))
    expected = [by_listing(selection, score, n) for n in range(1, top + 1)]
    assert curve.score == pytest.approx(expected, abs=1e-12)


def assert_replicates_leave_one_out(selection, score, top):
    curve = independent_curve(selection, score, max_budget=top)
    budgets = range(1, top + 1)
    recomputed = np.array([
        [by_listing(without(selection, i), without(score, i), n) for n in budgets]
        for i in range(len(selection))
    ])  # fmt: skip
    in_any_order = np.sort(curve.replicates, axis=0)
    assert in_any_order == pytest.approx(np.sort(recomputed, axis=0), abs=1e-12)
    count = len(selection)
    variance = (count - 1) / count * ((recomputed - recomputed.mean(axis=0)) ** 2).sum(axis=0)
    assert curve.variance == pytest.approx(variance, abs=1e-9)


@settings(max_examples=25)
@given(trials(3, 7, ties=False), st.data())
def test_the_error_is_the_jackknifes_each_trial_left_out_once(drawn, data):
    selection, score = columns(drawn)
    top = data.draw(st.integers(1, len(selection) - 2))
    assert_replicates_leave_one_out(selection, score, top)


def test_trials_that_tie_in_selection_keep_their_part_of_the_error():
    selection = [1, 1, 1, 2, 2, 3]
    score = [0.1, 0.5, 0.3, 0.9, 0.2, 0.7]
    assert_replicates_leave_one_out(selection, score, 3)


def test_where_nothing_tells_trials_apart_the_error_is_that_of_a_mean():
    scores = [0.1, 0.9, 0.3, 0.4, 0.5, 0.2, 0.8, 0.7]
    curve = independent_curve([1] * 8, scores)
    assert curve.score == pytest.approx([np.mean(scores)] * 2)
    assert np.sqrt(curve.variance[0]) == pytest.approx(stats.sem(scores))


def test_the_error_of_a_single_trial_is_that_of_a_mean():
    curve = independent_curve(TWENTY, TWENTY)
    assert np.sqrt(curve.variance[0]) == pytest.approx(stats.sem(TWENTY))
    estimate, low, high = curve.interval_at(1)
    assert estimate == pytest.approx(0.6355)
    half = stats.t.ppf(0.975, 19) * stats.sem(TWENTY)
    assert (low, high) == pytest.approx((0.6355 - half, 0.6355 + half))


@given(trials(3, 12), st.randoms(use_true_random=False))
def test_the_order_of_trials_changes_nothing(drawn, random):
    shuffled = random.sample(drawn, len(drawn))
    top = len(drawn) // 2
    first, second = (
        independent_curve(*columns(rows), max_budget=top) for rows in (drawn, shuffled)
    )
    assert second.score == pytest.approx(first.score, abs=1e-12)
    assert second.variance == pytest.approx(first.variance, abs=1e-12)


@given(trials(3, 12), st.sampled_from([-0.5, 0.25, 2.0]), st.sampled_from([0.01, 0.5, 100.0]))
def test_a_curve_moves_and_stretches_with_its_scores(drawn, shift, factor):
    selection, score = columns(drawn)
    top = len(drawn) // 2
    plain = independent_curve(selection, score, max_budget=top)
    changed = independent_curve(selection, score * factor + shift, max_budget=top)
    assert changed.score == pytest.approx(plain.score * factor + shift, abs=1e-9 * factor)
    assert np.sqrt(changed.variance) == pytest.approx(
        np.sqrt(plain.variance) * factor, abs=1e-7 * factor
    )


@given(trials(3, 12))
def test_only_the_order_of_selection_matters(drawn):
    selection, score = columns(drawn)
    top = len(drawn) // 2
    plain = independent_curve(selection, score, max_budget=top)
    stretched = independent_curve(np.exp(selection) - 7, score, max_budget=top)
    assert (stretched.score == plain.score).all()


@given(st.lists(SCORES, min_size=3, max_size=12))
def test_a_failed_run_never_raises_any_point_of_a_curve(scores):
    # Selected on what is read: 0 in selection and the lowest score is a failed run.
    ranks = selection_ranks(scores, np.zeros(len(scores)))
    top = len(scores) // 2
    before = expected_selected(ranks, scores, range(1, top + 1))
    after = expected_selected([*ranks, 0], [*scores, 0.0], range(1, top + 1))
    assert (after <= before + 1e-12).all()


@given(trials(3, 12))
def test_a_failed_run_never_raises_the_running_maximum_whatever_selects(drawn):
    # Not so each point: where selection misleads, fewer trials are better than many.
    selection, score = columns(drawn)
    budgets = range(1, len(drawn) // 2 + 1)
    before = expected_selected(selection + 1, score, budgets)
    after = expected_selected([*(selection + 1), 0], [*score, 0.0], budgets)
    assert (np.maximum.accumulate(after) <= np.maximum.accumulate(before) + 1e-12).all()


def test_a_curve_reaches_to_a_quarter_of_its_trials():
    assert len(independent_curve(range(64), range(64)).budgets) == 64 // TRIALS_PER_BUDGET == 16
    assert len(independent_curve(range(67), range(67)).budgets) == 16
    assert len(independent_curve(range(4), range(4)).budgets) == 1


def test_too_few_trials_are_refused():
    for count in (1, 2, 3):
        with pytest.raises(ValueError, match=f"{count} trials are too few for a curve to 1"):
            independent_curve(range(count), range(count))
    for top in (8, 9, 0, -1):
        with pytest.raises(ValueError, match="8 trials are too few for a curve to"):
            independent_curve(range(8), range(8), max_budget=top)
    with pytest.raises(ValueError, match="the selection is empty"):
        independent_curve([], [])


@pytest.mark.parametrize("curve", [independent_curve, lambda s, v: repeated_curve([s], [v])])
@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_missing_selection_or_score_is_refused(curve, missing):
    complete, incomplete = np.arange(8.0), np.array([*range(7), missing])
    with pytest.raises(ValueError, match="the selection holds"):
        curve(incomplete, complete)
    with pytest.raises(ValueError, match="the scores holds"):
        curve(complete, incomplete)


@pytest.mark.parametrize("curve", [independent_curve, lambda s, v: repeated_curve([s], [v])])
def test_unequal_lengths_are_refused_and_not_cut_to_the_shorter(curve):
    for selection, score in (range(8), range(7)), (range(7), range(8)):
        with pytest.raises(ValueError, match="do not match"):
            curve(selection, score)


# Repeats of an adaptive search


def test_a_repeat_keeps_its_incumbent_and_the_earlier_of_ties():
    selection = [[1, 3, 2, 3, 5], [2, 2, 1, 0, 2]]
    assert incumbents(np.array(selection, dtype=float)).tolist() == [[0, 1, 1, 1, 4], [0] * 5]
    score = [[0.1, 0.3, 0.9, 0.8, 0.2], [0.5, 0.9, 0.9, 0.9, 0.9]]
    curve = repeated_curve(selection, score)
    assert curve.budgets.tolist() == [1, 2, 3, 4, 5]
    assert curve.score == pytest.approx([0.3, 0.4, 0.4, 0.4, 0.35])


@given(st.lists(trials(4, 4), min_size=1, max_size=5))
def test_the_curve_of_repeats_is_the_mean_of_what_each_has_selected(repeats):
    selection, score = (np.array([columns(r)[part] for r in repeats]) for part in (0, 1))
    expected = [
        np.mean([row[max(range(n), key=lambda i: chosen[i])] for chosen, row in zip(selection, score, strict=True)])
        for n in range(1, 5)
    ]  # fmt: skip
    assert repeated_curve(selection, score).score == pytest.approx(expected)


@given(st.lists(trials(4, 4), min_size=2, max_size=6), st.data())
def test_selection_never_sees_the_test_scores(repeats, data):
    selection, score = (np.array([columns(r)[part] for r in repeats]) for part in (0, 1))
    selected = np.zeros(score.shape, dtype=bool)
    np.put_along_axis(selected, incumbents(selection), True, axis=1)
    others = data.draw(st.permutations(list(score[~selected])))
    changed = score.copy()
    changed[~selected] = others
    assert (
        repeated_curve(selection, changed).score == repeated_curve(selection, score).score
    ).all()
    changed[~selected] = 1e6
    assert (
        repeated_curve(selection, changed).score == repeated_curve(selection, score).score
    ).all()


@given(trials(4, 12, ties=False), st.data())
def test_a_better_test_score_never_changes_what_independent_trials_select(drawn, data):
    # The expected score is linear in the scores: what selects has no part in them.
    selection, score = columns(drawn)
    other = np.array(data.draw(st.permutations(list(score))))
    budgets = range(1, len(drawn) // 2 + 1)
    of_sum = expected_selected(selection, score + 3 * other, budgets)
    parts = expected_selected(selection, score, budgets) + 3 * expected_selected(
        selection, other, budgets
    )
    assert of_sum == pytest.approx(parts, abs=1e-9)


@given(st.lists(trials(4, 4), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_repeats_changes_nothing(repeats, random):
    def curve(rows):
        return repeated_curve(*(np.array([columns(r)[part] for r in rows]) for part in (0, 1)))

    first, second = curve(repeats), curve(random.sample(repeats, len(repeats)))
    assert second.score == pytest.approx(first.score)
    assert second.variance == pytest.approx(first.variance, abs=1e-12)


def test_the_error_of_repeats_is_the_standard_error_of_their_mean():
    curves = np.random.default_rng(0).random((10, 4))
    curve = mean_of_repeats(np.arange(1.0, 5), curves)
    assert curve.score == pytest.approx(curves.mean(axis=0))
    assert np.sqrt(curve.variance) == pytest.approx(stats.sem(curves))
    ends = stats.ttest_1samp(curves[:, 2], 0).confidence_interval(0.9)
    assert curve.interval_at(3, confidence=0.9)[1:] == pytest.approx((ends.low, ends.high))


def test_the_pseudo_values_of_repeats_are_their_own_curves():
    curves = np.random.default_rng(0).random((5, 4))
    assert mean_of_repeats(np.arange(1.0, 5), curves).pseudo_values == pytest.approx(curves)
    single = independent_curve(TWENTY, TWENTY).pseudo_values[:, 0]
    assert sorted(single) == pytest.approx(sorted(TWENTY))


def test_one_repeat_has_no_error():
    curve = repeated_curve([[1, 2, 3]], [[0.5, 0.7, 0.6]])
    assert curve.score.tolist() == [0.5, 0.7, 0.6]
    assert np.isinf(curve.variance).all()
    assert curve.interval_at(2) == (0.7, -math.inf, math.inf)


# No tuning, and parts of curves


def test_an_untuned_method_has_its_mean_at_every_budget():
    scores = [0.5, 0.7, 0.6, 0.9]
    curve = constant_curve(scores, np.array([1.0, 2.0, 8.0]))
    assert curve.score == pytest.approx([0.675] * 3)
    assert np.sqrt(curve.variance) == pytest.approx([stats.sem(scores)] * 3)
    ends = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert curve.interval_at(8)[1:] == pytest.approx((ends.low, ends.high))


def test_one_untuned_seed_has_no_error():
    curve = constant_curve([0.7], np.array([1.0, 2.0]))
    assert curve.score.tolist() == [0.7, 0.7]
    assert curve.interval_at(1) == (0.7, -math.inf, math.inf)


def test_equal_scores_have_no_error():
    curve = constant_curve([0.7] * 5, np.array([1.0, 2.0]))
    assert curve.variance == pytest.approx([0, 0], abs=1e-30)


def test_trials_that_all_score_the_same_say_nothing_of_others():
    assert np.isinf(independent_curve(range(8), [0.7] * 8).variance).all()
    assert np.isinf(mean_of_repeats(np.arange(1.0, 3), np.full((10, 2), 0.7)).variance).all()


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_an_untuned_method_with_a_missing_score_is_refused(missing):
    with pytest.raises(ValueError, match="the scores holds"):
        constant_curve([0.7, missing], np.array([1.0]))
    with pytest.raises(ValueError, match="the scores is empty"):
        constant_curve([], np.array([1.0]))


def test_a_part_of_a_curve_is_the_curve_up_to_a_budget():
    curve = independent_curve(TWENTY, TWENTY)
    part = curve.upto(3)
    assert isinstance(part, Curve)
    assert len(curve.upto(3.5).budgets) == 3
    assert part.budgets.tolist() == [1, 2, 3]
    assert part.interval_at(3) == curve.interval_at(3)
    assert (part.variance == curve.variance[:3]).all()
    assert len(curve.upto(0.5).budgets) == 0
    assert len(curve.upto(99).budgets) == 5


@pytest.mark.parametrize("budget", [0, 1.5, 6, math.inf])
def test_a_budget_that_a_curve_does_not_have_is_refused_and_not_rounded(budget):
    with pytest.raises(ValueError, match="the curve has no budget of"):
        independent_curve(TWENTY, TWENTY).interval_at(budget)
