"""Line figures as data for the page's charts, which a reader can pick apart and point at."""

import math
from typing import Any

from analysis.arrays import FloatArray
from analysis.report.drawing import Styles
from analysis.report.lines import MOST_LEVEL_BANDS, Panel, Series

_DIGITS = 5


def chart(panel: Panel, styles: Styles) -> dict[str, Any]:
    """Return a panel as JSON values: numbers of five digits, `None` for a gap."""
    return {
        "title": panel.title,
        "xLabel": panel.x_label,
        "yLabel": panel.y_label,
        "logX": panel.is_log_x,
        "logY": panel.is_log_y,
        "percent": panel.is_percent,
        "stepped": panel.is_stepped,
        "whole": panel.is_whole_x,
        "wholeShare": panel.is_whole_share,
        "mostLevelBands": MOST_LEVEL_BANDS,
        "series": [_series(series, styles) for series in panel.series],
    }


def _series(series: Series, styles: Styles) -> dict[str, Any]:
    style = styles[series.name]
    band = {} if series.low is None or series.high is None else {
        "low": _numbers(series.low), "high": _numbers(series.high)
    }  # fmt: skip
    return {
        "name": series.name,
        "method": style.place,
        "colour": style.colour,
        "dash": list(style.dash),
        "level": series.is_level,
        "points": series.has_points,
        "x": _numbers(series.x),
        "y": _numbers(series.y),
        **band,
    }


def _numbers(values: FloatArray) -> list[float | None]:
    return [
        float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None for value in values.tolist()
    ]
