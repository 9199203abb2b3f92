"""Bands around a whole tuning curve: widths by hand, and what they must contain."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bands import dkw_band, dkw_epsilon, median_best, simultaneous_band
from analysis.best_of_n import expected_best
from analysis.budgets import independent_curve, mean_of_repeats, repeated_curve
from tests.analysis.drawn import rng

SCORES = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=30)
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.95, 0.99])
BUDGETS = [1, 2, 3, 5, 10, 30, 100]


# The band of one column


@pytest.mark.parametrize(("count", "confidence", "epsilon"), [(20, 0.8, 0.240), (50, 0.95, 0.192)])
def test_the_half_width_is_the_published_one(count, confidence, epsilon):
    assert dkw_epsilon(count, confidence=confidence) == pytest.approx(epsilon, abs=5e-4)


def test_the_half_width_falls_with_the_root_of_the_count():
    assert dkw_epsilon(400) == pytest.approx(dkw_epsilon(100) / 2)
    assert dkw_epsilon(50, confidence=0.99) > dkw_epsilon(50) > dkw_epsilon(50, confidence=0.8)


def test_the_band_of_equal_values_is_the_one_by_hand():
    # F jumps from 0 to 1 at a half: between epsilon and 1 - epsilon either side of it.
    epsilon = dkw_epsilon(1000)
    low, high = dkw_band([0.5] * 1000, [1, 2, 10])
    for n, below, above in zip([1, 2, 10], low, high, strict=True):
        assert below == pytest.approx(0.5 * (1 - epsilon**n))
        assert above == pytest.approx(1 - 0.5 * (1 - epsilon) ** n)


def test_one_value_says_nothing():
    low, high = dkw_band([0.5], [1, 5])
    assert low == pytest.approx([0, 0])
    assert high == pytest.approx([1, 1])


@given(SCORES, CONFIDENCES)
def test_the_band_contains_the_plug_in_curve_and_stays_within_the_bounds(values, confidence):
    budgets = range(1, len(values) + 1)
    low, high = dkw_band(values, budgets, confidence=confidence)
    plug_in = [expected_best(values, n, with_replacement=True) for n in budgets]
    assert (low <= np.array(plug_in) + 1e-12).all()
    assert (high >= np.array(plug_in) - 1e-12).all()
    assert (low >= -1e-12).all()
    assert (high <= 1 + 1e-12).all()


@given(SCORES, CONFIDENCES)
def test_the_band_rises_with_the_budget(values, confidence):
    for end in dkw_band(values, BUDGETS, confidence=confidence):
        assert end.shape == (len(BUDGETS),)
        assert (np.diff(end) >= -1e-12).all()


@given(SCORES)
def test_more_confidence_widens_the_band(values):
    ends = [dkw_band(values, BUDGETS, confidence=confidence) for confidence in (0.5, 0.8, 0.99)]
    for (low, high), (wider_low, wider_high) in itertools.pairwise(ends):
        assert (wider_low <= low + 1e-12).all()
        assert (wider_high >= high - 1e-12).all()


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_values_changes_no_band(values, random):
    shuffled = random.sample(values, len(values))
    for before, after in zip(dkw_band(values, BUDGETS), dkw_band(shuffled, BUDGETS), strict=True):
        assert (before == after).all()


@given(SCORES)
def test_a_failed_run_among_many_lowers_the_plug_in_and_its_band(values):
    # With the number of trials kept: one that had a score has none.
    failed = [*sorted(values)[:-1], 0.0]
    for before, after in zip(dkw_band(values, BUDGETS), dkw_band(failed, BUDGETS), strict=True):
        assert (after <= before + 1e-12).all()


@given(SCORES, st.sampled_from([-1.0, 0.3]), st.sampled_from([0.5, 10.0]))
def test_the_band_moves_and_stretches_with_values_and_bounds(values, shift, factor):
    changed = np.clip(np.array(values) * factor + shift, shift, factor + shift)
    plain = dkw_band(values, BUDGETS)
    moved = dkw_band(changed, BUDGETS, lowest=shift, highest=factor + shift)
    for before, after in zip(plain, moved, strict=True):
        assert after == pytest.approx(before * factor + shift, abs=1e-9)


def test_wider_bounds_widen_the_band():
    values = rng().uniform(0.4, 0.6, 50)
    narrow, wide = dkw_band(values, [1, 8], lowest=0.3, highest=0.7), dkw_band(values, [1, 8])
    assert (wide[0] < narrow[0]).all()
    assert (wide[1] > narrow[1]).all()


def test_the_band_holds_the_true_curve_of_values_that_tie():
    # Four trials of ten diverge and tie at chance, the others tie at five accuracies.
    levels, chances = np.array([0.1, 0.5, 0.6, 0.7, 0.8, 0.9]), [0.4, 0.1, 0.1, 0.2, 0.1, 0.1]
    budgets = np.arange(1, 9)
    steps = np.diff(np.concatenate([[0], np.cumsum(chances)])[:, None] ** budgets, axis=0)
    truth = levels @ steps
    held = 0
    for seed in range(300):
        low, high = dkw_band(rng(seed).choice(levels, 30, p=chances), budgets, confidence=0.8)
        held += bool(((low <= truth) & (truth <= high)).all())
    assert held / 300 >= 0.8


def test_values_outside_the_bounds_are_refused_and_not_clipped():
    for values in ([0.5, 1.5], [-0.1, 0.5]):
        with pytest.raises(ValueError, match=r"values lie outside \[0, 1\]"):
            dkw_band(values, [1])
    dkw_band([0.0, 1.0], [1])


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_missing_value_is_refused(missing):
    with pytest.raises(ValueError, match="the values holds"):
        dkw_band([0.5, missing], [1])
    with pytest.raises(ValueError, match="the values holds"):
        median_best([0.5, missing], 1)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="the values is empty"):
        dkw_band([], [1])
    with pytest.raises(ValueError, match="the values is empty"):
        median_best([], 1)


# The band of a curve


def search(seed=0, *, repeats=10, n=8):
    selection = rng(seed).random((repeats, n))
    return repeated_curve(selection, selection + rng(seed + 1).normal(0, 0.05, (repeats, n)))


@pytest.mark.parametrize(
    "curve", [search(), independent_curve(rng(5).random(64), rng(6).random(64))]
)
def test_the_band_is_the_pointwise_error_times_one_factor(curve):
    low, high = simultaneous_band(curve, rng())
    factors = (high - curve.score) / np.sqrt(curve.variance)
    assert factors == pytest.approx(np.full(len(factors), factors[0]))
    assert curve.score - low == pytest.approx(high - curve.score)
    assert factors[0] > 1.96


def test_the_factor_grows_with_the_part_of_the_curve_that_is_held():
    curve = search()
    widths = [np.subtract(*simultaneous_band(curve.upto(top), rng())[::-1])[0] for top in (1, 3, 8)]
    assert widths == sorted(widths)
    assert widths[-1] > widths[0]


def test_more_confidence_widens_the_band_of_a_curve():
    curve = search()
    ends = [simultaneous_band(curve, rng(), confidence=c)[1] for c in (0.5, 0.8, 0.99)]
    assert (ends[0] < ends[1]).all()
    assert (ends[1] < ends[2]).all()


def test_the_same_generator_gives_the_same_band():
    curve = search()
    assert (simultaneous_band(curve, rng(1))[0] == simultaneous_band(curve, rng(1))[0]).all()
    assert (simultaneous_band(curve, rng(1))[0] != simultaneous_band(curve, rng(2))[0]).all()


def test_one_repeat_has_an_infinite_band():
    low, high = simultaneous_band(repeated_curve([[1, 2]], [[0.5, 0.6]]), rng())
    assert low.tolist() == [-math.inf] * 2
    assert high.tolist() == [math.inf] * 2


def test_repeats_that_agree_say_nothing_of_others():
    curve = mean_of_repeats(np.arange(1.0, 4), np.tile([0.5, 0.625, 0.75], (10, 1)))
    low, high = simultaneous_band(curve, rng())
    assert (low == -np.inf).all()
    assert (high == np.inf).all()


def test_a_budget_without_error_does_not_spoil_the_others():
    curves = rng().random((10, 3))
    curves[:, 1] = 0.5
    low, high = simultaneous_band(mean_of_repeats(np.arange(1.0, 4), curves), rng())
    assert np.isfinite(low).all()
    assert (high - low)[1] == pytest.approx(0, abs=1e-12)
    assert ((high - low)[[0, 2]] > 0.1).all()


@given(st.integers(0, 99), st.sampled_from([0.5, 100.0]), st.sampled_from([-1.0, 0.25]))
def test_the_band_of_a_curve_moves_and_stretches_with_its_scores(seed, factor, shift):
    selection = rng(seed).integers(0, 20, (8, 5)).astype(float)
    score = rng(seed + 1).integers(0, 20, (8, 5)) / 20
    plain = simultaneous_band(repeated_curve(selection, score), rng())
    changed = simultaneous_band(repeated_curve(selection, score * factor + shift), rng())
    for before, after in zip(plain, changed, strict=True):
        assert after == pytest.approx(before * factor + shift, abs=1e-6 * factor)


def test_the_order_of_independent_trials_changes_no_band():
    selection, score = rng(1).random(40), rng(2).random(40)
    places = rng(3).permutation(40)
    first = simultaneous_band(independent_curve(selection, score), rng())
    second = simultaneous_band(independent_curve(selection[places], score[places]), rng())
    for before, after in zip(first, second, strict=True):
        assert after == pytest.approx(before)


# The median of the best


@given(SCORES, st.integers(1, 40))
def test_the_median_best_is_the_smallest_value_that_half_of_the_bests_stay_below(values, n):
    def share_at_most(value):
        return Fraction(sum(v <= value for v in values), len(values)) ** n

    assert median_best(values, n) == min(v for v in values if share_at_most(v) >= Fraction(1, 2))


def test_the_median_best_rises_from_the_median_to_the_best():
    values = rng().permutation(np.arange(1.0, 100))
    curve = [median_best(values, n) for n in (1, 2, 4, 16, 10_000)]
    assert curve == sorted(curve)
    assert (curve[0], curve[1], curve[-1]) == (50, 71, 99)
