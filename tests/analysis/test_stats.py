"""Paired tests: against scipy, against every outcome listed, and against what must not matter."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.intervals import above_p_value
from analysis.stats import (
    MOST_EXACT,
    Alternative,
    equivalence_p_value,
    holm,
    non_inferiority_p_value,
    seeds_needed,
    sign_flip_p_value,
    wilcoxon_p_value,
)
from tests.analysis.drawn import rng

BOTH = tuple(Alternative)
TESTS = (sign_flip_p_value, wilcoxon_p_value)
COUNTS = st.lists(st.integers(-20, 20), min_size=1, max_size=9)
SCORES = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=9)


def by_listing(values, alternative):
    """The share of all 2**n sign flips that are as extreme as the observed sum, in integers."""
    magnitudes, observed = [abs(value) for value in values], sum(values)
    flips = itertools.product((-1, 1), repeat=len(values))
    sums = [sum(s * m for s, m in zip(signs, magnitudes, strict=True)) for signs in flips]
    if alternative == "greater":
        return sum(total >= observed for total in sums) / len(sums)
    return sum(abs(total) >= abs(observed) for total in sums) / len(sums)


def signed_ranks(values):
    """Twice the signed midranks, which are integers."""
    magnitudes = [abs(value) for value in values]
    return [
        int(np.sign(value))
        * (sum(2 * (m < abs(value)) + (m == abs(value)) for m in magnitudes) + 1)
        for value in values
    ]


# Sign flips


@pytest.mark.parametrize(("n", "p"), [(5, 0.0625), (6, 0.03125), (8, 0.0078125), (10, 0.001953125)])
@pytest.mark.parametrize("test", TESTS)
def test_the_smallest_p_value_is_two_outcomes_of_all(test, n, p):
    assert test(np.arange(1, n + 1)) == p
    assert test(-np.arange(1, n + 1)) == p
    assert test(np.arange(1, n + 1), alternative=Alternative.GREATER) == p / 2
    assert test(-np.arange(1, n + 1), alternative=Alternative.GREATER) == 1.0


@pytest.mark.parametrize("alternative", BOTH)
@pytest.mark.parametrize("n", [2, 5, 8, 12])
def test_sign_flips_are_scipys_paired_permutation_test(n, alternative):
    differences = rng(n).normal(0.3, 1, n)
    result = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf,
        alternative=alternative.value, vectorized=True,
    )  # fmt: skip
    assert sign_flip_p_value(differences, alternative=alternative) == pytest.approx(result.pvalue)


@given(COUNTS, st.sampled_from(BOTH))
def test_sign_flips_count_every_outcome_once_ties_and_zeros_too(values, alternative):
    p = sign_flip_p_value(values, alternative=alternative)
    assert p == pytest.approx(by_listing(values, alternative.value))


@given(COUNTS, st.sampled_from([1e-4, 0.01, 0.1, 1 / 3, 1e6]))
def test_sums_that_differ_by_rounding_alone_are_ties(values, unit):
    scaled = [value * unit for value in values]
    assert sign_flip_p_value(scaled) == sign_flip_p_value(values)


def test_p_values_are_exact_fractions_of_all_outcomes():
    for n in range(1, 11):
        p = sign_flip_p_value(rng(n).normal(size=n))
        assert (Fraction(p) * 2**n).denominator == 1


def test_forty_differences_are_counted_exactly():
    ones = [1.0] * 26 + [-1.0] * 14
    # Of all outcomes those with at least 26 of one sign, as in a binomial test.
    assert len(ones) == MOST_EXACT
    expected = stats.binomtest(26, 40).pvalue
    assert sign_flip_p_value(ones) == pytest.approx(expected)
    assert sign_flip_p_value([1.0] * 40) == pytest.approx(2 / 2**40, rel=1e-12)


def test_of_forty_differences_the_test_is_roughly_students():
    for seed in range(2):
        differences = rng(seed).normal(0.3, 1, 40)
        student = stats.ttest_1samp(differences, 0).pvalue
        assert sign_flip_p_value(differences) == pytest.approx(student, abs=0.02)


def test_beyond_forty_differences_outcomes_are_drawn():
    for seed in range(2):
        differences = rng(seed).normal(0.2, 1, 41)
        exact = stats.ttest_1samp(differences, 0).pvalue
        drawn = sign_flip_p_value(differences, rng=rng(seed))
        assert drawn == pytest.approx(exact, abs=0.02)
        without_one = sign_flip_p_value(differences[:40])
        with_a_zero = sign_flip_p_value([*differences[:40], 0.0], rng=rng(seed))
        assert with_a_zero == pytest.approx(without_one, abs=0.01)


def test_a_drawn_p_value_is_never_zero():
    for test in TESTS:
        p = test(np.ones(60), rng=rng())
        assert p == 2 / 100_000
        assert test(np.ones(60), alternative=Alternative.GREATER, rng=rng()) == 1 / 100_000
        assert test(-np.ones(60), alternative=Alternative.GREATER, rng=rng()) == 1.0


def test_a_drawn_p_value_is_repeatable():
    differences = rng().normal(0.2, 1, 50)
    assert sign_flip_p_value(differences, rng=rng(1)) == sign_flip_p_value(differences, rng=rng(1))
    assert sign_flip_p_value(differences, rng=rng(1)) != sign_flip_p_value(differences, rng=rng(2))


def test_beyond_forty_differences_a_generator_is_asked_for():
    for test in TESTS:
        with pytest.raises(ValueError, match="more than 40 differences need an rng"):
            test(np.ones(41))


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("n", [1, 2, 10, 40])
def test_differences_that_are_all_zero_show_nothing(test, n):
    assert test(np.zeros(n)) == 1.0
    assert test(np.zeros(n), alternative=Alternative.GREATER) == 1.0


@pytest.mark.parametrize("test", TESTS)
def test_one_difference_shows_nothing(test):
    assert test([0.3]) == 1.0
    assert test([0.3], alternative=Alternative.GREATER) == 0.5


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("n", [3, 60])
def test_a_missing_difference_is_refused_and_never_dropped(n, missing):
    differences = [*np.ones(n - 1), missing]
    for test in (
        *TESTS,
        lambda d, rng: non_inferiority_p_value(d, 0.1, rng),
        lambda d, rng: equivalence_p_value(d, 0.1, rng),
    ):
        with pytest.raises(ValueError, match="the differences holds"):
            test(differences, rng=rng())
        with pytest.raises(ValueError, match="the differences is empty"):
            test([], rng=rng())


# Wilcoxon


@pytest.mark.parametrize("alternative", BOTH)
@pytest.mark.parametrize("n", [3, 5, 8, 12])
def test_without_ties_wilcoxon_is_scipys_exact_test(n, alternative):
    differences = rng(n).normal(0.3, 1, n)
    expected = stats.wilcoxon(differences, alternative=alternative.value, method="exact").pvalue
    assert wilcoxon_p_value(differences, alternative=alternative) == pytest.approx(expected)


@given(COUNTS, st.sampled_from(BOTH))
def test_wilcoxon_is_exact_with_ties_and_zeros(values, alternative):
    # Pratt: zeros are ranked, then count for neither sign.
    p = wilcoxon_p_value(values, alternative=alternative)
    assert p == pytest.approx(by_listing(signed_ranks(values), alternative.value))


def test_wilcoxon_asks_for_ranks_only():
    differences = rng().normal(0.3, 1, 10)
    assert wilcoxon_p_value(differences) == wilcoxon_p_value(differences**3)
    assert wilcoxon_p_value([1, 2, 3, 4, -5]) == wilcoxon_p_value([1, 2, 3, 4, -500])


def test_differences_of_accuracies_tie_as_their_counts_do():
    first, second = np.array([81, 80, 95, 70, 66, 90, 88]), np.array([80, 81, 93, 69, 67, 88, 85])
    of_counts = wilcoxon_p_value(first - second)
    assert of_counts == wilcoxon_p_value(first / 100 - second / 100)


# Both


@given(COUNTS, st.randoms(use_true_random=False), st.sampled_from(TESTS))
def test_the_order_of_seeds_changes_nothing(values, random, test):
    shuffled = random.sample(values, len(values))
    for alternative in BOTH:
        assert test(shuffled, alternative=alternative) == test(values, alternative=alternative)


@given(COUNTS, st.sampled_from(TESTS))
def test_swapping_the_two_methods_leaves_the_p_value(values, test):
    swapped = [-value for value in values]
    assert test(swapped) == test(values)
    both = sum(test(side, alternative=Alternative.GREATER) for side in (values, swapped))
    assert both >= 1.0  # what equals the observed sum counts on either side


@given(COUNTS, st.integers(0, 8), st.integers(1, 20))
def test_a_better_score_never_raises_the_one_sided_p_value(values, place, gain):
    better = list(values)
    better[place % len(values)] += gain
    before, after = (
        sign_flip_p_value(v, alternative=Alternative.GREATER) for v in (values, better)
    )
    assert after <= before


# Families


def test_holm_is_the_example_by_hand():
    # Sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1, none below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == pytest.approx([0.02])
    assert holm([]).tolist() == []


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for seed in range(5):
        p_values = rng(seed).random(seed + 1).round(1) / 4  # with ties
        expected = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(expected)


def test_a_comparison_that_could_not_be_tested_stays_missing_and_counts_in_the_family():
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[[0, 2]] == pytest.approx([0.03, 0.04])
    assert math.isnan(adjusted[1])
    assert np.isnan(holm([math.nan, math.nan])).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_holm_depends_on_no_order_and_never_lowers_a_p_value(p_values, random):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values) - 1e-15).all()
    assert (adjusted <= 1).all()
    places = random.sample(range(len(p_values)), len(p_values))
    assert holm([p_values[place] for place in places]) == pytest.approx(adjusted[places])
    by_hand, largest = {}, 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - step)))
        by_hand[place] = largest
    assert adjusted == pytest.approx([by_hand[place] for place in range(len(p_values))])


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (5, 8), (15, 10), (45, 11)])
def test_these_many_seeds_reach_holms_first_step(comparisons, seeds):
    assert seeds_needed(comparisons, 0.05) == seeds


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("comparisons", [1, 2, 3, 7, 45])
def test_one_seed_fewer_can_show_nothing(comparisons, alpha):
    seeds = seeds_needed(comparisons, alpha)

    def smallest(n):
        one = sign_flip_p_value(np.ones(n)) if n else 1.0
        return holm([one, *[1.0] * (comparisons - 1)])[0]

    assert smallest(seeds) <= alpha < smallest(seeds - 1)


# Margins


def test_non_inferiority_is_the_stricter_of_two_tests_of_shifted_differences():
    for differences in (rng(1).normal(-0.005, 0.01, 10), -rng(2).lognormal(-5, 1, 10)):
        expected = stats.permutation_test(
            (differences + 0.02,), np.mean, permutation_type="samples", n_resamples=np.inf,
            alternative="greater", vectorized=True,
        ).pvalue  # fmt: skip
        bootstrap = above_p_value(differences + 0.02, 0.0, rng(3))
        p = non_inferiority_p_value(differences, 0.02, rng(3))
        assert p == pytest.approx(max(expected, bootstrap))


def test_as_good_as_needs_data_and_not_a_failed_test():
    # Two seeds that scatter by ten times the margin: no difference is found, and no equality.
    differences = [0.1, -0.1]
    assert sign_flip_p_value(differences) == 1.0
    assert non_inferiority_p_value(differences, 0.01, rng()) > 0.4
    assert equivalence_p_value(differences, 0.01, rng()) > 0.4
    close = rng().normal(0, 0.002, 10)
    assert non_inferiority_p_value(close, 0.01, rng()) < 0.01
    assert equivalence_p_value(close, 0.01, rng()) < 0.01


def test_a_method_that_is_worse_by_the_margin_is_not_as_good():
    worse = rng().normal(-0.02, 0.002, 10)
    assert non_inferiority_p_value(worse, 0.01, rng()) > 0.99
    assert non_inferiority_p_value(-worse, 0.01, rng()) <= 1 / 2**10 + 1e-3
    assert equivalence_p_value(-worse, 0.01, rng()) > 0.99


def test_a_method_that_is_rarely_but_badly_worse_is_not_as_good():
    # One seed of ten diverged: the flips of one large difference make half of all outcomes.
    differences = [0.01] * 9 + [-0.5]
    assert non_inferiority_p_value(differences, 0.02, rng()) > 0.3
    assert non_inferiority_p_value([0.01] * 10, 0.02, rng()) <= 1 / 2**10


def test_one_seed_shows_no_equality():
    assert non_inferiority_p_value([0.5], 0.01, rng()) == 1.0
    assert equivalence_p_value([0.0], 0.01, rng()) == 1.0


@given(COUNTS, st.integers(1, 10))
def test_equivalence_asks_for_both_sides(values, margin):
    generator = rng()
    swapped = [-value for value in values]
    sides = [non_inferiority_p_value(side, margin, generator) for side in (values, swapped)]
    assert equivalence_p_value(values, margin, rng()) == max(sides)
    # Swapped, the p-value differs by other resamples alone.
    assert equivalence_p_value(swapped, margin, rng()) == pytest.approx(max(sides), abs=0.05)


@given(COUNTS, st.integers(1, 10), st.integers(1, 10))
def test_a_wider_margin_never_raises_the_p_value(values, margin, wider):
    before, after = (non_inferiority_p_value(values, m, rng()) for m in (margin, margin + wider))
    assert after <= before + 2e-3  # t* of the same resamples, rounded otherwise


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan])
def test_a_margin_that_is_not_positive_is_refused(margin):
    for test in (non_inferiority_p_value, equivalence_p_value):
        with pytest.raises(ValueError, match="a margin must be above 0"):
            test([0.1, 0.2], margin, rng())
