"""Intervals: against scipy and formulas by hand, and what no order or unit may change."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.intervals import (
    FEWEST_FOR_RESAMPLING,
    RESAMPLES,
    Interval,
    above_p_value,
    mean_interval,
    standard_error,
    student_interval,
    studentised_interval,
    widened_tail,
    wilson_interval,
)
from tests.analysis.drawn import rng

ACCURACIES = st.integers(0, 2000).map(lambda correct: correct / 2000)


def samples(fewest, most=12):
    return st.lists(ACCURACIES, min_size=fewest, max_size=most)


class Mirrored:
    """Draws the k-th highest wherever numpy's generator draws the k-th lowest."""

    def __init__(self, seed):
        self._rng = rng(seed)

    def integers(self, high, size):
        return high - 1 - self._rng.integers(high, size=size)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_students_interval_is_that_of_scipy(n, confidence):
    values = rng(n).normal(0.7, 0.05, n)
    ends = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert student_interval(values, confidence=confidence) == pytest.approx(
        (values.mean(), ends.low, ends.high)
    )


def test_students_interval_has_the_nominal_width_and_not_half_of_it():
    # 1, 2, 3: mean 2, s = 1, t with 2 degrees of freedom = 4.302653.
    estimate, low, high = student_interval([1, 2, 3])
    assert estimate == 2
    assert (high - low) / 2 == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert (high - low) / 2 > 1.96 / math.sqrt(3)


@pytest.mark.parametrize("n", [1, 2, 3, FEWEST_FOR_RESAMPLING - 1])
def test_below_five_values_students_interval_is_given(n):
    values = rng().normal(size=n)
    assert mean_interval(values, rng()) == student_interval(values)


@pytest.mark.parametrize("n", [FEWEST_FOR_RESAMPLING, 10])
def test_from_five_values_on_the_studentised_interval_is_given(n):
    values = rng().normal(size=n)
    assert mean_interval(values, rng()) == studentised_interval(values, rng())
    assert mean_interval(values, rng()) != student_interval(values)


def test_one_value_says_nothing_about_its_error():
    for interval in (student_interval([0.7]), mean_interval([0.7], rng())):
        assert interval == Interval(0.7, -math.inf, math.inf)
    with pytest.raises(ValueError, match="at least two values"):
        studentised_interval([0.7], rng())


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_equal_values_have_an_interval_without_width(n):
    for value in (0.0, 0.1, 0.7, 1 / 3):
        for interval in (student_interval([value] * n), mean_interval([value] * n, rng())):
            assert interval.low == interval.estimate == interval.high
            assert interval.estimate == pytest.approx(value)
        assert standard_error(np.full(n, value)) == 0


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_missing_or_infinite_value_is_refused_and_never_averaged_away(missing):
    values = [0.5, 0.6, missing, 0.7, 0.8]
    with pytest.raises(ValueError, match="the sample holds"):
        mean_interval(values, rng())
    with pytest.raises(ValueError, match="the sample holds"):
        student_interval(values)
    with pytest.raises(ValueError, match="the sample holds"):
        studentised_interval(values, rng())


def test_an_empty_sample_is_refused():
    with pytest.raises(ValueError, match="the sample is empty"):
        mean_interval([], rng())
    with pytest.raises(ValueError, match="the sample is empty"):
        student_interval([])


def test_the_studentised_interval_is_the_one_of_its_definition():
    values = np.array([0.2, 0.35, 0.5, 0.55, 0.8, 0.95])
    n, mean, error = 6, values.mean(), stats.sem(values)
    drawn = values[rng(3).integers(n, size=(RESAMPLES, n))]
    spread = np.ptp(drawn, axis=1) > 0
    t = np.full(RESAMPLES, np.nan)
    t[spread] = (drawn[spread].mean(axis=1) - mean) / stats.sem(drawn[spread], axis=1)
    t[~spread] = np.sign(drawn[~spread, 0] - mean) * np.inf
    for widened in (True, False):
        tail = stats.norm.cdf(-1.959964 * math.sqrt(6 / 5)) if widened else 0.025
        ordered = np.sort(t)
        cut = math.ceil(tail * RESAMPLES)
        expected = (mean, mean - ordered[-cut] * error, mean - ordered[cut - 1] * error)
        assert studentised_interval(values, rng(3), widened=widened) == pytest.approx(expected)


def test_the_same_generator_gives_the_same_interval():
    values = rng().normal(size=10)
    assert mean_interval(values, rng(5)) == mean_interval(values, rng(5))
    assert mean_interval(values, rng(5)) != mean_interval(values, rng(6))


def test_the_interval_follows_the_skewness_of_the_sample():
    skewed = [0.0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.04, 0.06, 0.1, 0.4]
    estimate, low, high = studentised_interval(skewed, rng())
    assert high - estimate > 2 * (estimate - low)
    estimate, low, high = studentised_interval([-value for value in skewed], rng())
    assert estimate - low > 2 * (high - estimate)


def test_one_outlier_among_equal_values_does_not_stretch_the_interval_without_bound():
    # Resamples without the outlier have no spread: a third of all for nine equal values of ten.
    for n in (2, 5, 10, 20):
        for odd in (0.9, 0.1, 0.501):
            values = [0.5] * (n - 1) + [odd]
            estimate, low, high = studentised_interval(values, rng())
            student = student_interval(values)
            assert low <= estimate <= high
            assert estimate - low <= 2.5 * (estimate - student.low) + 1e-12
            assert high - estimate <= 2.5 * (student.high - estimate) + 1e-12


def test_the_tails_are_widened_as_hesterberg_says():
    assert widened_tail(10, 0.95) == pytest.approx(stats.norm.cdf(-1.959964 * math.sqrt(10 / 9)))
    assert widened_tail(10**6, 0.95) == pytest.approx(0.025, abs=1e-6)
    tails = [widened_tail(n, 0.95) for n in (2, 3, 5, 10, 40)]
    assert tails == sorted(tails)
    assert tails[-1] < 0.025


@given(samples(2), st.integers(0, 9))
def test_widened_tails_never_narrow_an_interval(values, seed):
    plain = studentised_interval(values, rng(seed), widened=False)
    wide = studentised_interval(values, rng(seed))
    assert wide.low <= plain.low <= plain.high <= wide.high


@given(samples(2), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(values, random):
    shuffled = random.sample(values, len(values))
    if len(values) >= FEWEST_FOR_RESAMPLING:
        assert mean_interval(shuffled, rng()) == mean_interval(values, rng())
    assert student_interval(shuffled) == pytest.approx(student_interval(values), abs=1e-12)


@given(samples(2))
def test_the_estimate_lies_in_its_interval(values):
    estimate, low, high = mean_interval(values, rng())
    assert estimate == pytest.approx(np.mean(values))
    assert low - 1e-12 <= estimate <= high + 1e-12


@given(samples(2), st.integers(0, 9))
def test_swapping_the_two_samples_mirrors_the_interval(values, seed):
    differences = np.array(values) - 0.5
    estimate, low, high = student_interval(differences)
    assert student_interval(-differences) == pytest.approx((-estimate, -high, -low), abs=1e-12)
    estimate, low, high = studentised_interval(differences, rng(seed))
    mirrored = studentised_interval(-differences, Mirrored(seed))
    assert mirrored == pytest.approx((-estimate, -high, -low), abs=1e-9)


@given(
    samples(2), st.sampled_from([-0.5, 0.25, 1.0, 3.0]), st.sampled_from([0.01, 0.5, 4.0, 100.0])
)
def test_an_interval_moves_and_stretches_with_its_values(values, shift, factor):
    changed = np.array(values) * factor + shift
    for interval in (lambda v: mean_interval(v, rng()), student_interval):
        expected = [end * factor + shift for end in interval(values)]
        assert interval(changed) == pytest.approx(expected, abs=1e-9 * factor)


@given(samples(2))
def test_more_confidence_never_narrows_an_interval(values):
    lower, higher = (student_interval(values, confidence=level) for level in (0.8, 0.99))
    assert higher.low <= lower.low <= lower.high <= higher.high


@given(samples(1), st.integers(1, 3))
def test_a_failed_run_never_raises_a_mean(values, failures):
    floor = min(values)
    with_failures = mean_interval([*values, *[floor] * failures], rng())
    assert with_failures.estimate <= mean_interval(values, rng()).estimate + 1e-12


# Whether a mean is above a bound


@pytest.mark.parametrize("n", [2, 3, FEWEST_FOR_RESAMPLING - 1])
def test_below_five_values_the_p_value_is_students(n):
    values = rng(n).normal(0.7, 0.05, n)
    expected = stats.ttest_1samp(values, 0.68, alternative="greater").pvalue
    assert above_p_value(values, 0.68, rng()) == pytest.approx(expected)


def test_the_bootstrapped_p_value_is_the_one_of_its_definition():
    values = np.array([0.2, 0.35, 0.5, 0.55, 0.8, 0.95])
    drawn = values[rng(3).integers(6, size=(RESAMPLES, 6))]
    drawn = drawn[np.ptp(drawn, axis=1) > 0]
    t = (drawn.mean(axis=1) - values.mean()) / stats.sem(drawn, axis=1)
    for bound in (0.2, 0.3, 0.5, 0.7):
        observed = (values.mean() - bound) / stats.sem(values)
        share = (1 + (t >= observed).sum()) / (RESAMPLES + 1)
        widened = stats.norm.cdf(stats.norm.ppf(share) * math.sqrt(5 / 6))
        assert above_p_value(values, bound, rng(3)) == pytest.approx(widened, abs=1e-3)


def test_the_p_value_and_the_interval_agree():
    for seed in range(30):
        values = rng(seed).normal(0.6, 1, 10)
        low, p = mean_interval(values, rng()).low, above_p_value(values, 0, rng())
        assert (low > 0) if p < 0.024 else (low <= 0) if p > 0.026 else True


def test_one_value_is_above_nothing_and_equal_values_leave_no_doubt():
    assert above_p_value([0.7], 0.1, rng()) == 1.0
    assert above_p_value([0.7], 0.9, rng()) == 1.0
    for n in (2, 3, 10):
        assert above_p_value([0.7] * n, 0.6, rng()) == 0.0
        assert above_p_value([0.7] * n, 0.8, rng()) == 1.0


@pytest.mark.parametrize("value", [0.0, 0.1, 0.25, 0.7])
@pytest.mark.parametrize("n", [2, 3, 5, 7, 10])
def test_equal_values_at_the_bound_are_not_above_it(value, n):
    assert above_p_value([value] * n, value, rng()) == 1.0


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_missing_value_has_no_p_value(missing):
    with pytest.raises(ValueError, match="the sample holds"):
        above_p_value([0.5, missing, 0.7], 0.1, rng())
    with pytest.raises(ValueError, match="the sample is empty"):
        above_p_value([], 0.1, rng())


@given(samples(2), ACCURACIES, st.randoms(use_true_random=False))
def test_the_p_value_knows_no_order_and_falls_with_the_bound(values, bound, random):
    p = above_p_value(values, bound, rng())
    assert 0 <= p <= 1
    assert above_p_value(random.sample(values, len(values)), bound, rng()) == p
    assert above_p_value(values, bound - 0.1, rng()) <= p


# Shares


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (7, 10, 0.396778, 0.892209),  # (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_a_share_has_wilsons_interval(successes, trials, low, high):
    interval = wilson_interval(successes, trials)
    assert interval == pytest.approx((successes / trials, low, high), abs=1e-6)


@given(st.integers(1, 50), st.data(), st.sampled_from([0.8, 0.95]))
def test_wilsons_interval_is_its_formula(trials, data, confidence):
    successes = data.draw(st.integers(0, trials))
    p, z = successes / trials, stats.norm.ppf((1 + confidence) / 2)
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    interval = wilson_interval(successes, trials, confidence=confidence)
    assert interval == pytest.approx((p, centre - half, centre + half), abs=1e-12)
    failures = wilson_interval(trials - successes, trials, confidence=confidence)
    assert failures == pytest.approx((1 - p, 1 - interval.high, 1 - interval.low), abs=1e-12)


def test_what_is_no_share_is_refused():
    for successes, trials in (0, 0), (1, 0), (3, 2), (-1, 2), (0, -1):
        with pytest.raises(ValueError, match="is no share"):
            wilson_interval(successes, trials)
