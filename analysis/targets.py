"""How soon a target is reached, with the runs that never reach it."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.arrays import paired
from analysis.intervals import Interval, wilson_interval


class TimeToTarget(NamedTuple):
    """Several runs towards one target, in one unit of time."""

    success: Interval
    """Share of the runs that reached it, with Wilson's interval."""
    median: float
    """Of all runs; a miss is infinite and takes part."""
    expected: float
    """Expected running time until a success, every run charged; infinite without one."""


def first_epoch_at(curve: npt.ArrayLike, target: float) -> int | None:
    """Return the first epoch, from 1, whose validation accuracy reaches the target.

    Args:
        curve: Shape (epochs,); a NaN (an epoch without a score) reaches nothing.
        target: Of validation accuracy.

    Returns:
        `None` for a miss. There is no interpolation: accuracy is known at the ends of epochs.
    """
    reached = np.flatnonzero(np.asarray(curve, dtype=np.float64) >= target)
    return int(reached[0]) + 1 if len(reached) else None


def time_to_target(times: npt.ArrayLike, spent: npt.ArrayLike) -> TimeToTarget:
    """Summarise runs towards a target.

    Args:
        times: Shape (runs,): when each reached it; infinite for a miss.
        spent: Shape (runs,): what each run took altogether, in the same unit.

    Raises:
        ValueError: A time is missing, or the lengths differ.
    """
    hits, whole = paired(times, spent)
    return TimeToTarget(
        success=wilson_interval(int(np.isfinite(hits).sum()), len(hits)),
        median=float(np.median(hits)),
        expected=expected_running_time(hits, whole),
    )


def expected_running_time(times: npt.ArrayLike, spent: npt.ArrayLike) -> float:
    """Return mean(successes) + (1 - p) / p mean(misses), p being the success rate.

    That is what restarting until a success costs on average (Auger and Hansen 2005). A miss costs
    what it spent, not a cap.

    Raises:
        ValueError: A value is missing, the lengths differ, or a miss has no finite cost.
    """
    hits, whole = paired(times, spent)
    reached = np.isfinite(hits)
    if not np.isfinite(whole[~reached]).all():
        raise ValueError("a run that missed the target has no finite cost")
    if not reached.any():
        return math.inf
    return float(hits[reached].sum() + whole[~reached].sum()) / int(reached.sum())
