"""Effect sizes and sample sizes: against scipy, published numbers, and what must not matter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.effects import cliffs_delta, noether_sample_size, probability_of_improvement

SCORES = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=9)


# Effect sizes


def test_the_probability_of_improvement_splits_ties():
    assert probability_of_improvement([1, 2, 3, 4], [0, 2, 4, 4]) == (1 + 0.5 + 0 + 0.5) / 4
    assert probability_of_improvement([0.5] * 3, [0.5] * 3) == 0.5
    assert probability_of_improvement([1], [0]) == 1.0


def test_the_probability_of_improvement_pairs_seeds():
    # The same values: seed by seed always better, over all pairs only mostly.
    first, second = [0.2, 0.4, 0.6, 0.8], [0.1, 0.3, 0.5, 0.7]
    assert probability_of_improvement(first, second) == 1.0
    assert probability_of_improvement(first, second[::-1]) == 0.5
    assert cliffs_delta(first, second) == cliffs_delta(first, second[::-1]) == 0.25


def test_runs_that_never_ended_tie_among_each_other():
    worst = -math.inf
    assert probability_of_improvement([worst, 0.5, worst], [worst, worst, 0.5]) == 0.5
    assert cliffs_delta([worst], [worst]) == 0.0
    assert cliffs_delta([math.inf, worst], [math.inf, worst]) == 0.0
    assert cliffs_delta([0.0, 0.5], [worst, worst]) == 1.0


def test_missing_and_unequal_samples_are_refused():
    with pytest.raises(ValueError, match="3 values cannot be paired with 2"):
        probability_of_improvement([0.1, 0.2, 0.3], [0.1, 0.2])
    for effect in (probability_of_improvement, cliffs_delta):
        for first, second in ([0.1, math.nan], [0.1, 0.2]), ([0.1, 0.2], [math.nan, 0.2]):
            with pytest.raises(ValueError, match="sample holds 1 missing values"):
                effect(first, second)
        with pytest.raises(ValueError, match="is empty"):
            effect([], [])


@given(SCORES, SCORES)
def test_cliffs_delta_is_that_of_mann_whitney(first, second):
    u = stats.mannwhitneyu(first, second, method="asymptotic").statistic
    assert cliffs_delta(first, second) == pytest.approx(2 * u / (len(first) * len(second)) - 1)


@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_cliffs_delta_knows_no_order_of_rows_and_mirrors_when_swapped(first, second, random):
    delta = cliffs_delta(first, second)
    shuffled = random.sample(first, len(first)), random.sample(second, len(second))
    assert cliffs_delta(*shuffled) == delta
    assert cliffs_delta(second, first) == -delta
    assert -1 <= delta <= 1


@given(SCORES, st.data())
def test_a_failed_run_never_raises_the_probability_of_improvement(scores, data):
    size = len(scores)
    rival = data.draw(
        st.lists(st.integers(1, 20).map(lambda k: k / 20), min_size=size, max_size=size)
    )
    place = data.draw(st.integers(0, size - 1))
    before = probability_of_improvement(scores, rival)
    failed = list(scores)
    failed[place] = 0.0
    assert probability_of_improvement(failed, rival) <= before
    assert probability_of_improvement([*scores, 0.0], [*rival, 0.5]) <= before
    assert cliffs_delta([*scores, 0.0], rival) <= cliffs_delta(scores, rival) + 1e-12
    swapped = probability_of_improvement(rival, scores)
    assert before + swapped == pytest.approx(1)


# Sample sizes


def test_twenty_nine_runs_detect_three_in_four():
    assert noether_sample_size(0.75) == 29


def test_noethers_number_is_its_formula():
    for probability in (0.6, 0.7, 0.9, 1.0):
        z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
        exact = z**2 / (6 * (probability - 0.5) ** 2)
        assert noether_sample_size(probability, power=0.8) == math.ceil(exact)
    assert noether_sample_size(0.6) > noether_sample_size(0.75) > noether_sample_size(0.9)


@pytest.mark.parametrize("probability", [0.5, 0.3, 1.1, math.nan])
def test_a_probability_of_a_half_needs_no_detection(probability):
    with pytest.raises(ValueError, match=r"above 0\.5"):
        noether_sample_size(probability)
