"""What every statistic asks of its arrays: numbers, none of them missing."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def numbers(values: npt.ArrayLike, name: str, *, ndim: int = 1) -> FloatArray:
    """Return an array of floats that holds at least one value and no NaN.

    Infinity is a value: a run that never reached its target took infinitely long.

    Raises:
        ValueError: It is empty, has other dimensions, or holds a NaN: whoever calls decides what
            a missing number means, no statistic does.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions instead of {ndim}")
    if array.size == 0:
        raise ValueError(f"{name} is empty")
    if np.isnan(array).any():
        raise ValueError(f"{name} holds {np.isnan(array).sum()} missing values")
    return array


def finite(values: npt.ArrayLike, name: str, *, ndim: int = 1) -> FloatArray:
    """Return `numbers` that are all finite.

    Raises:
        ValueError: As `numbers`, and for an infinite value.
    """
    array = numbers(values, name, ndim=ndim)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds infinite values")
    return array


def paired(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two arrays of one length.

    Raises:
        ValueError: Their lengths differ: nothing is ever cut to the shorter one.
    """
    left, right = numbers(first, "the first sample"), numbers(second, "the second sample")
    if len(left) != len(right):
        raise ValueError(f"{len(left)} values cannot be paired with {len(right)}")
    return left, right


def same_shape(
    selection: npt.ArrayLike, score: npt.ArrayLike, *, ndim: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return what selects and what is read as arrays of one shape.

    Raises:
        ValueError: The shapes differ, or a value is missing or infinite.
    """
    chosen = finite(selection, "the selection", ndim=ndim)
    read = finite(score, "the scores", ndim=ndim)
    if chosen.shape != read.shape:
        raise ValueError(f"selection {chosen.shape} and scores {read.shape} do not match")
    return chosen, read
