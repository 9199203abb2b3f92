"""Time to a target: a run that misses it counts, and costs what it spent."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.intervals import wilson_interval
from analysis.targets import expected_running_time, first_epoch_at, time_to_target

MISS = math.inf
RUNS = st.lists(
    st.tuples(st.one_of(st.integers(1, 30), st.just(MISS)), st.just(30)), min_size=1, max_size=12
)

# Seven runs need 12 epochs, three have not reached the target after 30.
TIMES, SPENT = [12] * 7 + [MISS] * 3, [12] * 7 + [30] * 3


def columns(runs):
    return [time for time, _ in runs], [spent for _, spent in runs]


# The first epoch


def test_the_first_epoch_at_a_target_counts_from_one():
    assert first_epoch_at([0.2, 0.5, 0.4, 0.9], 0.5) == 2
    assert first_epoch_at([0.2, 0.5, 0.4, 0.9], 0.2) == 1
    assert first_epoch_at([0.2, 0.5, 0.4, 0.9], 0.6) == 4


def test_a_miss_has_no_epoch_and_neither_the_first_nor_the_last():
    # argmax over "reached" would return 0 for a run that never reached it.
    assert first_epoch_at([0.2, 0.5, 0.4], 0.6) is None
    assert first_epoch_at([], 0.5) is None


def test_an_epoch_without_a_score_reaches_nothing():
    assert first_epoch_at([math.nan, 0.3, math.nan, 0.7], 0.5) == 4
    assert first_epoch_at([math.nan, math.nan], 0.0) is None
    assert first_epoch_at([None, 0.7], 0.5) == 2
    assert first_epoch_at([0.3, math.nan], 0.5) is None


def test_nothing_is_interpolated_between_epochs():
    assert first_epoch_at([0.0, 1.0], 0.01) == 2


def test_a_later_fall_does_not_undo_a_hit():
    assert first_epoch_at([0.1, 0.8, 0.1, math.nan], 0.8) == 2


@given(st.lists(st.integers(0, 10), max_size=10), st.integers(0, 10))
def test_no_epoch_before_the_first_has_reached_the_target(curve, target):
    epoch = first_epoch_at(curve, target)
    if epoch is None:
        assert all(value < target for value in curve)
    else:
        assert curve[epoch - 1] >= target
        assert all(value < target for value in curve[: epoch - 1])


# Many runs


def test_the_expected_running_time_is_the_published_one():
    assert expected_running_time(TIMES, SPENT) == pytest.approx(24.857, abs=5e-4)
    assert time_to_target(TIMES, SPENT).expected == pytest.approx(12 + 3 / 7 * 30)


def test_a_miss_is_not_counted_as_the_number_of_epochs():
    # As a cap it would count: (7 x 12 + 3 x 30) / 10 = 17.4 epochs.
    found = time_to_target(TIMES, SPENT)
    assert found.expected > 17.4
    assert found.median == 12
    assert time_to_target([12] * 4 + [MISS] * 6, [30] * 10).median == MISS


def test_misses_take_part_in_the_median():
    assert time_to_target([10, MISS, 20], [30] * 3).median == 20
    assert time_to_target([10, MISS, MISS], [30] * 3).median == MISS
    assert time_to_target([10, 20, MISS, MISS], [30] * 4).median == MISS
    assert time_to_target([10, 20, 30, MISS], [30] * 4).median == 25
    assert time_to_target([MISS], [30]).median == MISS


def test_the_share_that_reached_it_has_wilsons_interval():
    assert time_to_target(TIMES, SPENT).success == wilson_interval(7, 10)
    assert time_to_target([MISS] * 10, [30] * 10).success == wilson_interval(0, 10)
    assert time_to_target([3], [5]).success == wilson_interval(1, 1)


def test_without_a_success_no_time_is_enough():
    assert expected_running_time([MISS] * 3, [30, 20, 10]) == MISS


def test_without_a_miss_the_expected_time_is_the_mean():
    assert expected_running_time([10, 20, 60], [60, 60, 60]) == 30


def test_a_miss_costs_what_it_spent():
    cheap = expected_running_time([10, MISS], [30, 1])  # diverged in its first epoch
    dear = expected_running_time([10, MISS], [30, 30])
    assert (cheap, dear) == (11, 40)


@given(RUNS)
def test_the_expected_time_is_its_formula(runs):
    times, spent = columns(runs)
    hits = [time for time in times if time < MISS]
    share = len(hits) / len(times)
    expected = MISS if share == 0 else np.mean(hits) + (1 - share) / share * 30
    assert expected_running_time(times, spent) == pytest.approx(expected)


@given(RUNS, st.randoms(use_true_random=False))
def test_the_order_of_runs_changes_nothing(runs, random):
    shuffled = random.sample(runs, len(runs))
    assert time_to_target(*columns(shuffled)) == time_to_target(*columns(runs))


@given(RUNS, st.integers(0, 40))
def test_another_miss_never_shortens_any_time(runs, spent):
    before, after = (time_to_target(*columns(rows)) for rows in (runs, [*runs, (MISS, spent)]))
    assert after.median >= before.median
    assert after.expected >= before.expected
    assert after.success.estimate <= before.success.estimate


@given(RUNS, st.sampled_from([0.5, 60.0]))
def test_another_unit_multiplies_times(runs, factor):
    times, spent = (np.array(column) for column in columns(runs))
    before, after = time_to_target(times, spent), time_to_target(times * factor, spent * factor)
    assert after.success == before.success
    assert after.median == pytest.approx(before.median * factor)
    assert after.expected == pytest.approx(before.expected * factor)


@pytest.mark.parametrize("summary", [expected_running_time, time_to_target])
def test_what_is_missing_or_unequal_is_refused(summary):
    with pytest.raises(ValueError, match="the first sample holds 1 missing"):
        summary([10, math.nan], [30, 30])
    with pytest.raises(ValueError, match="the second sample holds 1 missing"):
        summary([10, MISS], [30, math.nan])
    with pytest.raises(ValueError, match="2 values cannot be paired with 1"):
        summary([10, MISS], [30])
    with pytest.raises(ValueError, match="is empty"):
        summary([], [])


@pytest.mark.parametrize("summary", [expected_running_time, time_to_target])
def test_a_miss_of_unknown_cost_is_refused_and_not_free(summary):
    with pytest.raises(ValueError, match="missed the target has no finite cost"):
        summary([10, MISS], [30, math.inf])
    with pytest.raises(ValueError, match="missed the target has no finite cost"):
        summary([MISS], [math.inf])
