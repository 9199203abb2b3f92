"""Draws figures with seaborn, in one style, and writes them as SVG and PNG."""

import io
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis import written
from analysis.report.differences import DifferenceFigure, DifferenceRow
from analysis.report.lines import MOST_LEVEL_BANDS, LineFigure, Panel, Series
from analysis.report.styles import Style

INK = "#1c2128"
RULE = "#c9ced6"
"""Colours of texts and of rules, which the page replaces by its own in the dark."""

TITLE = "figure-title"
"""Id of a figure's title in its SVG."""

_MOST_TICKS = 5

_FEW_DECADES = 2.0
"""Up to which a logarithmic axis is also told between powers of ten."""

TITLE_POINTS = 18
"""Height of the title in an SVG."""

_PNG_DPI = 130
_PANEL_INCHES = (3.7, 2.9)
_MOST_PANELS_ABREAST = 3
_FACET_INCHES = (1.8, 1.15)
_MOST_FACETS_ABREAST = 5
_LEGEND_INCHES = 2.3
_LEGEND_ROWS = 20
_LEFT, _BOTTOM, _TOP = 0.7, 0.55, 0.6

_LOOK: Mapping[Any, Any] = MappingProxyType(
    {
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.fonttype": "none",
    }
)

Styles = Mapping[str, Style]


class Images(NamedTuple):
    """A figure as files."""

    svg: str
    png: bytes


def drawn(figure: LineFigure | DifferenceFigure, styles: Styles) -> Images:
    """Draw a figure, and return it as SVG and PNG; the same figure gives the same bytes."""
    with _seaborn_style(figure.name):
        if isinstance(figure, DifferenceFigure):
            canvas = draw_differences(figure, styles)
        elif figure.is_facetted:
            canvas = draw_facets(figure.panels[0], styles)
        else:
            canvas = draw_panels(figure.panels, styles)
        title = _shortened(figure.title, 110)
        canvas.suptitle(
            title, x=0.01, y=1 - 0.08 / canvas.get_figheight(), ha="left", fontsize=10, gid=TITLE
        )
        return Images(_svg(canvas), _png(canvas))


def draw_panels(panels: Sequence[Panel], styles: Styles) -> Figure:
    """Draw panels side by side, four and more in rows, with one legend for all of them."""
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
    columns = -(-len(names) // _LEGEND_ROWS)
    width, height = _PANEL_INCHES
    legend = _LEGEND_INCHES * columns
    count = len(panels)
    abreast = count if count <= _MOST_PANELS_ABREAST else min(_MOST_PANELS_ABREAST, -(-count // 2))
    canvas, every = _grid(
        -(-count // abreast),
        abreast,
        size=(width, height),
        margins=(_LEFT, legend, _BOTTOM, _TOP),
        gap=0.75,
        row_gap=_BOTTOM + 0.35,
    )
    for axes, panel in zip(every, panels, strict=False):
        _draw_panel(axes, panel, styles)
    for axes in every[count:]:
        axes.set_axis_off()
    canvas.legend(
        handles=[_handle(name, styles) for name in names],
        loc="upper left",
        bbox_to_anchor=(
            1 - (legend - 0.1) / canvas.get_figwidth(),
            1 - 0.3 / canvas.get_figheight(),
        ),
        ncols=columns,
        fontsize=8,
        frameon=False,
        labelspacing=0.25,
    )
    return canvas


def draw_facets(panel: Panel, styles: Styles) -> Figure:
    """Draw each series in small axes of its own, all to one scale; levels in all of them."""
    levels = [series for series in panel.series if series.is_level]
    single = [series for series in panel.series if not series.is_level]
    count = len(single)
    columns = min(_MOST_FACETS_ABREAST, max(2, count))
    canvas, every = _grid(
        -(-count // columns),
        columns,
        size=_FACET_INCHES,
        margins=(_LEFT, 0.15, _BOTTOM, _TOP + 0.25),
        gap=0.2,
        is_shared=True,
    )
    for axes, series in zip(every, single, strict=False):
        for drawn_series in (*levels, series):
            _draw_series(axes, drawn_series, styles[drawn_series.name], panel)
        axes.set_title(_shortened(series.name), fontsize=8, loc="left", y=1.0, pad=3)
    _set_axes(every[0], panel)
    for place, axes in enumerate(every):
        axes.set_axis_on() if place < count else axes.set_axis_off()
        axes.tick_params(labelbottom=place + columns >= count, labelleft=place % columns == 0)
    height = canvas.get_figheight()
    canvas.supxlabel(panel.x_label, fontsize=9, y=0.08 / height, va="bottom")
    canvas.supylabel(panel.y_label, fontsize=9, x=0.01)
    if levels:
        handles = [_handle(series.name, styles) for series in levels]
        top = 1 - 0.25 / height
        canvas.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.0, top), ncols=4, fontsize=8,
            frameon=False,
        )  # fmt: skip
    return canvas


def draw_differences(figure: DifferenceFigure, styles: Styles) -> Figure:
    """Draw an interval for each method, with the margin around zero shaded."""
    count = len(figure.rows)
    canvas, (axes,) = _grid(
        1, 1, size=(4.6, 0.2 + 0.24 * count), margins=(2.2, 0.2, _BOTTOM, _TOP - 0.2)
    )
    axes.axvspan(-figure.margin_points, figure.margin_points, color=RULE, alpha=0.35, lw=0)
    axes.axvline(0, color=INK, lw=0.8)
    for place, row in enumerate(figure.rows):
        _draw_interval(axes, row, place, styles[row.method])
    axes.set_yticks(range(count), [_shortened(row.method, 34) for row in figure.rows])
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlabel(f"percentage points above or below {_shortened(figure.reference)}")
    axes.grid(axis="y", visible=False)
    return canvas


def _draw_panel(axes: Axes, panel: Panel, styles: Styles) -> None:
    is_crowded = sum(series.is_level for series in panel.series) > MOST_LEVEL_BANDS
    for series in panel.series:
        bare = series._replace(low=None, high=None) if is_crowded and series.is_level else series
        _draw_series(axes, bare, styles[series.name], panel)
    axes.set_title(panel.title, fontsize=9, loc="left", y=1.0)  # to look for a place takes long
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    # To measure every tick's label for their places takes a tenth of the time.
    axes.xaxis.set_label_coords(0.5, -0.11)
    axes.yaxis.set_label_coords(-0.13, 0.5)
    _set_axes(axes, panel)


def _draw_series(axes: Axes, series: Series, style: Style, panel: Panel) -> None:
    (drawn_line,) = axes.plot(
        series.x,
        series.y,
        color=style.colour,
        linewidth=1.2 if series.is_level else 1.8,
        drawstyle="steps-post" if panel.is_stepped else "default",
        marker=style.marker if series.has_points else None,
        markersize=5,
        gid=_group(style),
    )
    if style.dash:
        drawn_line.set_dashes(style.dash)
    if series.low is not None and series.high is not None:
        axes.fill_between(
            series.x, series.low, series.high, color=style.colour, alpha=0.15, linewidth=0,
            step="post" if panel.is_stepped else None, gid=_group(style),
        )  # fmt: skip


def _draw_interval(axes: Axes, row: DifferenceRow, place: int, style: Style) -> None:
    estimate, low, high = row.difference_points
    if np.isfinite([low, high]).all():
        axes.plot([low, high], [place, place], color=style.colour, lw=2, gid=_group(style))
        fill = style.colour
    else:
        fill = "none"  # one pair: nothing is known of others
    axes.plot(estimate, place, style.marker, color=style.colour, mfc=fill, ms=5, gid=_group(style))


def _set_axes(axes: Axes, panel: Panel) -> None:
    for is_log, set_scale, axis in (
        (panel.is_log_x, axes.set_xscale, axes.xaxis),
        (panel.is_log_y, axes.set_yscale, axes.yaxis),
    ):
        if is_log:
            set_scale("log")
            axis.set_minor_locator(NullLocator())
            low, high = sorted(axis.get_view_interval())
            between = (1.0, 2.0, 5.0) if math.log10(high / low) < _FEW_DECADES else (1.0,)
            axis.set_major_locator(LogLocator(subs=between, numticks=9))
            axis.set_major_formatter(FuncFormatter(_plain_number))
        else:
            axis.set_major_locator(
                MaxNLocator(_MOST_TICKS, integer=panel.is_whole_x and axis is axes.xaxis)
            )
    if panel.y_range:
        axes.set_ylim(panel.y_range)
    if panel.is_percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))


def _plain_number(value: float, _: object) -> str:
    if value < 0.01:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:g}" if value < 10 else written.compact(value)


def _grid(
    rows: int,
    columns: int,
    *,
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
    gap: float = 0.0,
    row_gap: float = 0.3,
    is_shared: bool = False,
) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure and its axes, placed by inches: to measure every text takes seconds.

    Args:
        rows: Of axes.
        columns: Of axes.
        size: Width and height of each axes.
        margins: Left, right, bottom and top.
        gap: Between columns.
        row_gap: Between rows: room for a title, and for what stands below.
        is_shared: Whether all axes have one scale.
    """
    left, right, bottom, top = margins
    width = left + columns * size[0] + (columns - 1) * gap + right
    height = bottom + rows * size[1] + (rows - 1) * row_gap + top
    canvas = Figure(figsize=(width, height))
    every = canvas.subplots(
        rows,
        columns,
        squeeze=False,
        sharex=is_shared,
        sharey=is_shared,
        gridspec_kw={
            "left": left / width,
            "right": 1 - right / width,
            "bottom": bottom / height,
            "top": 1 - top / height,
            "wspace": gap / size[0],
            "hspace": row_gap / size[1],
        },
    )
    return canvas, list(every.ravel())


def _handle(name: str, styles: Styles) -> Line2D:
    style = styles[name]
    line = Line2D([], [], color=style.colour, lw=1.8, label=_shortened(name))
    if style.dash:
        line.set_dashes(style.dash)
    return line


def _group(style: Style) -> str:
    return f"method-{style.place}"


def _shortened(name: str, longest: int = 28) -> str:
    """Return a name that has room, and is shown as it is: `$` begins no formula."""
    kept = name if len(name) <= longest else f"{name[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
    return kept.replace("$", r"\$")


def _seaborn_style(salt: str) -> AbstractContextManager[None]:
    # One context: each one copies all of matplotlib's settings.
    look: dict[Any, Any] = {**sns.axes_style("whitegrid"), **_LOOK, "svg.hashsalt": salt}
    return mpl.rc_context(look)


def _svg(canvas: Figure) -> str:
    out = io.StringIO()
    canvas.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    return out.getvalue()


def _png(canvas: Figure) -> bytes:
    out = io.BytesIO()
    canvas.savefig(
        out, format="png", dpi=_PNG_DPI, facecolor="white", pil_kwargs={"compress_level": 2}
    )
    return out.getvalue()
