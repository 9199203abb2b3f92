"""Performance profiles: AlgoPerf's numbers, its exact integral, and the traps of its code."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.profiles import (
    LARGEST_RATIO,
    performance_profile,
    profile_scores,
    score_ranges,
    time_ratios,
)

MISS = math.inf
EXAMPLE = [[10, 20], [15, 15], [60, MISS]]

TIMES = st.one_of(st.integers(1, 60).map(float), st.just(MISS))


@st.composite
def tables(draw, fewest=1):
    methods, workloads = draw(st.integers(fewest, 5)), draw(st.integers(1, 4))
    row = st.lists(TIMES, min_size=workloads, max_size=workloads)
    return np.array(draw(st.lists(row, min_size=methods, max_size=methods)))


def test_the_scores_of_the_published_example():
    scores = profile_scores(EXAMPLE)
    assert scores.trapezoid == pytest.approx([0.94697, 0.91667, 0], abs=5e-6)
    assert scores.exact == pytest.approx([0.94444, 0.91667, 0], abs=5e-6)


def test_ratios_are_to_the_fastest_of_each_workload():
    ratios = time_ratios(EXAMPLE)
    assert ratios[:2] == pytest.approx(np.array([[1, 4 / 3], [1.5, 1]]))
    assert ratios[2].tolist() == [MISS, MISS]


def test_a_time_beyond_four_times_the_fastest_is_a_miss():
    assert time_ratios([[1.0], [4.0], [4.01], [100.0]]).ravel().tolist() == [1, 4, MISS, MISS]


def test_a_miss_is_infinite_and_never_the_largest_ratio():
    scores = profile_scores([[10, 10], [10, MISS]])
    assert scores.exact == pytest.approx([1, 0.5])
    assert profile_scores([[10, 10], [10, 40]]).exact == pytest.approx([1, 0.5])
    assert performance_profile(time_ratios([[10.0], [MISS]]), [4, 1e9]).tolist() == [[1, 1], [0, 0]]


def test_a_workload_that_no_method_solved_counts_for_none():
    # inf / inf would be NaN, and every score with it.
    scores = profile_scores([[10, MISS], [20, MISS]])
    assert scores.exact == pytest.approx([0.5, 0.5 * 2 / 3])
    assert np.isfinite(scores.trapezoid).all()
    nothing = profile_scores([[MISS, MISS], [MISS, MISS]])
    assert nothing.exact.tolist() == nothing.trapezoid.tolist() == [0, 0]


def test_the_fastest_is_the_smallest_time_and_not_the_smallest_index():
    assert profile_scores([[30.0], [20.0], [10.0]]).exact == pytest.approx([1 / 3, 2 / 3, 1])
    assert profile_scores([[MISS], [20.0]]).exact.tolist() == [0, 1]


def test_ties_do_not_go_to_the_first_listed():
    scores = profile_scores([[10, 30], [10, 30], [10, 30]])
    assert scores.exact.tolist() == [1, 1, 1]
    assert scores.trapezoid == pytest.approx([1, 1, 1])


def test_one_method_alone_has_the_whole_score_where_it_reached_the_target():
    assert profile_scores([[10, 20, MISS, 7]]).exact.tolist() == [0.75]


def test_a_profile_is_a_share_of_workloads():
    ratios = time_ratios([[10, 20, 30, MISS], [15, 15, 90, 5]])
    profile = performance_profile(ratios, [1, 1.4, 1.5, 3, 4])
    assert profile.tolist() == [[0.5, 0.75, 0.75, 0.75, 0.75], [0.5, 0.5, 0.75, 1, 1]]


@given(tables())
def test_the_exact_score_is_the_area_under_the_profile(table):
    ratios = time_ratios(table)
    finest = np.linspace(1, LARGEST_RATIO, 30_001)
    middles = (finest[1:] + finest[:-1]) / 2
    area = performance_profile(ratios, middles).mean(axis=1)
    scores = profile_scores(table)
    assert scores.exact == pytest.approx(area, abs=2e-4)
    by_hand = [np.mean([max(0, (4 - ratio) / 3) for ratio in row]) for row in ratios]
    assert scores.exact == pytest.approx(by_hand)
    assert scores.trapezoid == pytest.approx(scores.exact, abs=0.5 / 99 + 1e-9)
    assert ((scores.exact >= 0) & (scores.exact <= 1)).all()


@given(tables())
def test_a_profile_never_falls(table):
    profile = performance_profile(time_ratios(table), np.linspace(1, 5, 40))
    assert (np.diff(profile, axis=1) >= 0).all()


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_methods_and_workloads_changes_nothing(table, random):
    methods, workloads = table.shape
    rows = random.sample(range(methods), methods)
    places = random.sample(range(workloads), workloads)
    shuffled = profile_scores(table[np.ix_(rows, places)])
    scores = profile_scores(table)
    assert shuffled.exact == pytest.approx(scores.exact[rows])
    assert shuffled.trapezoid == pytest.approx(scores.trapezoid[rows])
    ranges = score_ranges(table)
    for row, found in zip(rows, score_ranges(table[np.ix_(rows, places)]), strict=True):
        assert found == pytest.approx(ranges[row])


@given(tables(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_a_workload_changes_nothing(table, factor):
    changed = table.copy()
    changed[:, 0] *= factor
    assert (profile_scores(changed).exact == profile_scores(table).exact).all()


@given(tables(), st.data())
def test_a_run_that_misses_never_helps_its_method_and_never_hurts_another(table, data):
    method = data.draw(st.integers(0, len(table) - 1))
    workload = data.draw(st.integers(0, table.shape[1] - 1))
    missed = table.copy()
    missed[method, workload] = MISS
    before, after = profile_scores(table).exact, profile_scores(missed).exact
    assert after[method] <= before[method] + 1e-12
    others = np.arange(len(table)) != method
    assert (after[others] >= before[others] - 1e-12).all()


# The methods that are compared


def test_a_range_shows_the_scores_without_any_one_other_method():
    first, second, third = score_ranges([[10, 20], [15, 15], [12, MISS]])
    # Without the second the first is fastest everywhere.
    assert first == pytest.approx((17 / 18, 17 / 18, 1))
    # Without the first: 12 is the fastest of workload 1, 15 / 12 = 1.25.
    assert second == pytest.approx((11 / 12, 11 / 12, (2.75 / 3 + 1) / 2))
    assert third == pytest.approx((2.8 / 6, 2.8 / 6, 0.5))


def test_one_method_has_a_range_of_itself():
    assert score_ranges([[10, MISS]]) == [(0.5, 0.5, 0.5)]


@given(tables(fewest=2))
def test_the_range_is_over_leaving_out_each_other_method(table):
    for method, found in enumerate(score_ranges(table)):
        scores = [profile_scores(table).exact[method]]
        for other in range(len(table)):
            if other != method:
                kept = [m for m in range(len(table)) if m != other]
                scores.append(profile_scores(table[kept]).exact[kept.index(method)])
        assert found == pytest.approx((scores[0], min(scores), max(scores)))
        assert found.low == pytest.approx(scores[0])  # fewer rivals never lower a score


@pytest.mark.parametrize("function", [time_ratios, profile_scores, score_ranges])
def test_what_is_no_time_is_refused(function):
    with pytest.raises(ValueError, match="the times holds 1 missing values"):
        function([[10, math.nan], [20, 30]])  # out of memory is a miss, which is infinite
    for time in (0.0, -1.0, -MISS):
        with pytest.raises(ValueError, match="a time is not positive"):
            function([[10, time], [20, 30]])
    with pytest.raises(ValueError, match="dimensions instead of 2"):
        function([10, 20])
    with pytest.raises(ValueError, match="the times is empty"):
        function(np.empty((0, 2)))
    with pytest.raises(ValueError, match="inhomogeneous"):
        function([[10, 20], [30]])
