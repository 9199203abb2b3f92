"""Figures made of lines: what they show, before anything is drawn."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.arrays import FloatArray

_ROOM = 0.15
"""Above and below all lines, as a share of what they span."""

_LEAST_ROOM = 0.02

MOST_LEVEL_BANDS = 4
"""Straight lines of a panel up to which their bands are drawn: more of them hide the curves."""

MOST_POINTS = 160
"""Of one line on a page: more cannot be told apart."""


class Series(NamedTuple):
    """One method's line, and its band if it has one."""

    name: str
    x: FloatArray
    """Shape (points,), increasing."""
    y: FloatArray
    """Shape (points,); NaN is a gap."""
    low: FloatArray | None = None
    """Shape (points,), as `high`."""
    high: FloatArray | None = None
    is_level: bool = False
    """Whether it is a method that no budget changes: a straight line."""
    has_points: bool = False
    """Whether each value was measured, and is marked."""


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    is_log_x: bool = False
    is_log_y: bool = False
    is_percent: bool = False
    """Whether y is a share that is written in percent."""
    is_stepped: bool = False
    """Whether a value holds until the next one."""
    is_whole_share: bool = False
    """Whether all of 0 to 1 is shown, whatever there is."""
    is_whole_x: bool = False
    """Whether x counts, so that a tick between two numbers means nothing."""

    @property
    def y_range(self) -> tuple[float, float] | None:
        """What is shown of y: all lines, and of bands what lies near; `None` on a log axis.

        The band of a handful of trials would else press all lines into one.
        """
        if self.is_log_y or not self.series:
            return None
        if self.is_whole_share:
            return -_LEAST_ROOM, 1 + _LEAST_ROOM
        values = np.concatenate([series.y for series in self.series])
        if self.is_percent and np.nanmin(values) >= 0 and np.nanmax(values) <= 1:
            limits = (0.0, 1.0)
        else:
            limits = (-np.inf, np.inf)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        room = _ROOM * (high - low) or _LEAST_ROOM
        return max(limits[0] - room / 8, low - room), min(limits[1] + room / 8, high + room)


class LineFigure(NamedTuple):
    """Panels that answer one question on one workload."""

    name: str
    """Of its files."""
    title: str
    panels: tuple[Panel, ...]
    note: str = ""
    is_facetted: bool = False
    """Whether its lines lie on each other: on paper, each has axes of its own."""

    @property
    def names(self) -> list[str]:
        """The methods that it shows, in the order of their lines."""
        shown = (series.name for panel in self.panels for series in panel.series)
        return list(dict.fromkeys(shown))


def line(
    name: str,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    is_level: bool = False,
    has_points: bool = False,
) -> Series:
    """Return a series, thinned to what can be seen; infinite ends of a band are left out."""
    across = np.asarray(x, dtype=np.float64)
    kept = thinned(len(across))
    ends = [_end(values, kept) for values in (low, high)]
    if any(end is None for end in ends):
        ends = [None, None]
    return Series(
        name=name,
        x=across[kept],
        y=np.asarray(y, dtype=np.float64)[kept],
        low=ends[0],
        high=ends[1],
        is_level=is_level,
        has_points=has_points,
    )


def thinned(count: int, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Return which of `count` points are shown: all, or `most`, denser at the beginning."""
    if count <= most:
        return np.arange(count)
    dense = np.geomspace(1, count, most // 2) - 1
    even = np.linspace(0, count - 1, most - most // 2)
    return np.unique(np.round(np.concatenate([dense, even])).astype(np.int64))


def with_lines(panels: Iterable[Panel]) -> tuple[Panel, ...]:
    """Return the panels that show anything: an empty frame says nothing."""
    return tuple(panel for panel in panels if panel.series)


def _end(values: npt.ArrayLike | None, kept: npt.NDArray[np.int64]) -> FloatArray | None:
    if values is None:
        return None
    end = np.asarray(values, dtype=np.float64)[kept]
    finite = np.where(np.isfinite(end), end, np.nan)
    return None if np.isnan(finite).all() else finite
