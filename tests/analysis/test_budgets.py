"""Tuning curves: against every subset of trials, and what no order, failure or test score may do."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.budgets import (
    TRIALS_PER_BUDGET,
    Curve,
    best_weights,
    constant_curve,
    expected_best,
    expected_selected,
    incumbents,
    independent_curve,
    mean_of_repeats,
    repeated_curve,
    same_shape,
    selection_ranks,
)

PROPERTY = settings(
    deadline=None,
    max_examples=50,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# The example accuracies of github.com/dodgejesse/show_your_work, plot.py.
TWENTY = [
    0.8, 0.75, 0.9, 0.24, 0.45, 0.6, 0.65, 0.67, 0.49, 0.49,
    0.59, 0.52, 0.78, 0.84, 0.63, 0.42, 0.85, 0.76, 0.68, 0.6,
]  # fmt: skip

SCORES = st.integers(0, 20).map(lambda k: k / 20)


def trials(fewest, most=8, *, ties=True):
    """Lists of (selection, score)."""
    return st.lists(
        st.tuples(st.integers(0, 6 if ties else 1000), SCORES),
        min_size=fewest,
        max_size=most,
        unique_by=None if ties else (lambda trial: trial[0]),
    )


def columns(drawn):
    selection, score = np.array(drawn, dtype=float).reshape(-1, 2).T
    return selection, score


def by_listing(selection, score, n):
    """The mean over all subsets of n of the selected score, ties in selection averaged."""
    outcomes = []
    for subset in itertools.combinations(range(len(selection)), n):
        best = max(selection[i] for i in subset)
        selected = [score[i] for i in subset if selection[i] == best]
        outcomes.append(sum(selected) / len(selected))
    return sum(outcomes) / len(outcomes)


def without(values, place):
    return np.delete(np.asarray(values, dtype=float), place)


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


@PROPERTY
@given(st.lists(SCORES, min_size=1, max_size=8), st.data())
def test_the_expected_best_is_the_mean_over_all_subsets(values, data):
    n = data.draw(st.integers(1, len(values)))
    subsets = [max(subset) for subset in itertools.combinations(values, n)]
    assert expected_best(values, n) == pytest.approx(np.mean(subsets))


@PROPERTY
@given(st.lists(SCORES, min_size=1, max_size=5), st.data())
def test_with_replacement_it_is_the_mean_over_all_draws(values, data):
    n = data.draw(st.integers(1, len(values)))
    draws = [max(draw) for draw in itertools.product(values, repeat=n)]
    assert expected_best(values, n, with_replacement=True) == pytest.approx(np.mean(draws))
    assert expected_best(values, n, with_replacement=True) <= expected_best(values, n) + 1e-12


@PROPERTY
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


@PROPERTY
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


# A search of independent trials


@PROPERTY
@given(trials(1), st.data())
def test_the_expected_selected_score_is_the_mean_over_all_subsets(drawn, data):
    selection, score = columns(drawn)
    n = data.draw(st.integers(1, len(selection)))
    expected = by_listing(selection, score, n)
    assert expected_selected(selection, score, [n])[0] == pytest.approx(expected, abs=1e-12)


@PROPERTY
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


@settings(PROPERTY, max_examples=25)
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


@PROPERTY
@given(trials(3, 12), st.randoms(use_true_random=False))
def test_the_order_of_trials_changes_nothing(drawn, random):
    shuffled = random.sample(drawn, len(drawn))
    top = len(drawn) // 2
    first, second = (
        independent_curve(*columns(rows), max_budget=top) for rows in (drawn, shuffled)
    )
    assert second.score == pytest.approx(first.score, abs=1e-12)
    assert second.variance == pytest.approx(first.variance, abs=1e-12)


@PROPERTY
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


@PROPERTY
@given(trials(3, 12))
def test_only_the_order_of_selection_matters(drawn):
    selection, score = columns(drawn)
    top = len(drawn) // 2
    plain = independent_curve(selection, score, max_budget=top)
    stretched = independent_curve(np.exp(selection) - 7, score, max_budget=top)
    assert (stretched.score == plain.score).all()


@PROPERTY
@given(st.lists(SCORES, min_size=3, max_size=12))
def test_a_failed_run_never_raises_any_point_of_a_curve(scores):
    # Selected on what is read: 0 in selection and the lowest score is a failed run.
    ranks = selection_ranks(scores, np.zeros(len(scores)))
    top = len(scores) // 2
    before = expected_selected(ranks, scores, range(1, top + 1))
    after = expected_selected([*ranks, 0], [*scores, 0.0], range(1, top + 1))
    assert (after <= before + 1e-12).all()


@PROPERTY
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
    with pytest.raises(ValueError, match="do not match"):
        same_shape([[1, 2]], [[1], [2]], ndim=2)


# Repeats of an adaptive search


def test_a_repeat_keeps_its_incumbent_and_the_earlier_of_ties():
    selection = [[1, 3, 2, 3, 5], [2, 2, 1, 0, 2]]
    assert incumbents(np.array(selection, dtype=float)).tolist() == [[0, 1, 1, 1, 4], [0] * 5]
    score = [[0.1, 0.3, 0.9, 0.8, 0.2], [0.5, 0.9, 0.9, 0.9, 0.9]]
    curve = repeated_curve(selection, score)
    assert curve.budgets.tolist() == [1, 2, 3, 4, 5]
    assert curve.score == pytest.approx([0.3, 0.4, 0.4, 0.4, 0.35])


@PROPERTY
@given(st.lists(trials(4, 4), min_size=1, max_size=5))
def test_the_curve_of_repeats_is_the_mean_of_what_each_has_selected(repeats):
    selection, score = (np.array([columns(r)[part] for r in repeats]) for part in (0, 1))
    expected = [
        np.mean([row[max(range(n), key=lambda i: chosen[i])] for chosen, row in zip(selection, score, strict=True)])
        for n in range(1, 5)
    ]  # fmt: skip
    assert repeated_curve(selection, score).score == pytest.approx(expected)


@PROPERTY
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


@PROPERTY
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


@PROPERTY
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
