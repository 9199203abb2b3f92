"""What every statistic refuses: nothing missing is ever counted as a number."""

import numpy as np
import pytest

from analysis.arrays import finite, numbers, paired, same_shape


def test_numbers_are_kept_as_they_are():
    assert numbers([3, 1, 2], "it").tolist() == [3.0, 1.0, 2.0]
    assert numbers([True, 0.5], "it").dtype == np.float64
    assert numbers([[1, 2], [3, 4]], "it", ndim=2).shape == (2, 2)


def test_zero_is_a_value():
    assert numbers([0.0, -0.0, 0.5], "it").tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("missing", [np.nan, None, -np.nan])
@pytest.mark.parametrize("check", [numbers, finite])
def test_a_nan_is_refused_wherever_it_stands(check, missing):
    for place in range(3):
        values = [0.1, 0.2, 0.3]
        values[place] = missing
        with pytest.raises(ValueError, match="the scores holds 1 missing values"):
            check(values, "the scores")


def test_infinity_is_a_value_unless_it_is_refused():
    assert numbers([1.0, np.inf], "the times").tolist() == [1.0, np.inf]
    for infinite in (np.inf, -np.inf):
        with pytest.raises(ValueError, match="the scores holds infinite values"):
            finite([1.0, infinite], "the scores")


@pytest.mark.parametrize("check", [numbers, finite])
def test_an_empty_array_is_refused(check):
    for empty, ndim in ([], 1), (np.empty((0, 3)), 2), (np.empty((3, 0)), 2):
        with pytest.raises(ValueError, match="the scores is empty"):
            check(empty, "the scores", ndim=ndim)


def test_other_dimensions_are_refused_instead_of_flattened():
    for values, ndim in (0.5, 1), ([[0.5]], 1), ([0.5], 2), ([[0.5]], 3):
        with pytest.raises(ValueError, match=f"dimensions instead of {ndim}"):
            numbers(values, "the scores", ndim=ndim)
    with pytest.raises(ValueError, match="inhomogeneous"):
        numbers([[1.0, 2.0], [3.0]], "the scores", ndim=2)


def test_unequal_lengths_are_refused_and_not_cut_to_the_shorter():
    left, right = paired([1, 2], [3, 4])
    assert (left.tolist(), right.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    for first, second in ([1, 2, 3], [1, 2]), ([1, 2], [1, 2, 3]), ([1], [1, 2]):
        with pytest.raises(ValueError, match=f"{len(first)} values cannot be paired with"):
            paired(first, second)


def test_a_pair_with_a_missing_side_is_named():
    with pytest.raises(ValueError, match="the first sample holds 1 missing"):
        paired([np.nan, 1], [1, 1])
    with pytest.raises(ValueError, match="the second sample holds 2 missing"):
        paired([1, 1], [np.nan, np.nan])


def test_what_is_checked_is_not_changed():
    given = np.array([3.0, 1.0, 2.0])
    numbers(given, "it")
    finite(given, "it")
    paired(given, given)
    assert given.tolist() == [3.0, 1.0, 2.0]


def test_two_tables_of_other_shapes_are_refused_and_not_broadcast():
    with pytest.raises(ValueError, match="do not match"):
        same_shape([[1, 2]], [[1], [2]], ndim=2)
    first, second = same_shape([[1, 2]], [[3, 4]], ndim=2)
    assert first.shape == second.shape == (1, 2)
