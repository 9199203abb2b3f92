"""Figures as files, and as parts of a page."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from analysis.intervals import Interval
from analysis.report.differences import DifferenceFigure, DifferenceRow
from analysis.report.drawing import INK, drawn
from analysis.report.inline import inline_svg
from analysis.report.lines import MOST_LEVEL_BANDS, LineFigure, Panel, line
from analysis.report.styles import styles

NAMES = ["adam", "<script>alert(1)</script>", "$x_1$ & co"]
LOOKS = styles(NAMES)


def lines(**changes):
    series = tuple(
        line(name, [1, 2, 3], [0.1 * i + 0.1, 0.2, 0.3], low=[0.1] * 3, high=[0.4] * 3)
        for i, name in enumerate(NAMES)
    )
    panel = Panel("p", "trials", "accuracy, %", series, is_percent=True, is_log_x=True)
    return LineFigure("f", "A figure of <b> and $y$", (panel, panel), **changes)


def differences():
    inf = float("inf")
    ends = [Interval(1, 0.5, 1.5), Interval(0, -inf, inf), Interval(-2, -3, -1)]
    rows = tuple(DifferenceRow(*each, "better") for each in zip(NAMES, ends, strict=True))
    return DifferenceFigure("d", "t", "$a", 1.0, rows)


FIGURES = [lines(), lines(is_facetted=True), differences()]


@pytest.mark.parametrize("figure", FIGURES, ids=["panels", "facets", "differences"])
def test_a_figure_is_well_formed_and_the_same_each_time(figure):
    images = drawn(figure, LOOKS)
    text = "".join(ElementTree.fromstring(images.svg).itertext())
    assert "<script>alert(1)</script>" in text
    assert "$x_1$ & co" in text
    assert images.png.startswith(b"\x89PNG")
    assert drawn(figure, LOOKS) == images


@pytest.mark.parametrize("figure", FIGURES, ids=["panels", "facets", "differences"])
def test_on_a_page_groups_tell_methods_and_colours_are_the_pages(figure):
    svg = inline_svg(drawn(figure, LOOKS).svg)
    ElementTree.fromstring(svg)
    assert {int(place) for place in re.findall(r'data-method="(\d+)"', svg)} == {0, 1, 2}
    assert INK not in svg
    assert "currentColor" in svg
    assert "<script" not in svg
    assert "A figure of" not in svg  # the page has its own title
    assert not re.search(r'<g id="', svg)
    assert "<metadata" not in svg


def test_drawing_leaves_the_global_style_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    drawn(lines(), LOOKS)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(("count", "bands"), [(MOST_LEVEL_BANDS, 5), (MOST_LEVEL_BANDS + 1, 1)])
def test_many_straight_lines_are_drawn_without_their_bands(count, bands):
    names = [f"m{place}" for place in range(count)]
    levels = [
        line(n, [1, 9], [0.5] * 2, low=[0.4] * 2, high=[0.6] * 2, is_level=True) for n in names
    ]
    curve = line("tuned", [1, 9], [0.1, 0.7], low=[0.0, 0.6], high=[0.2, 0.8])
    panel = Panel("p", "trials", "accuracy, %", (curve, *levels), is_percent=True)
    svg = drawn(LineFigure("f", "t", (panel,)), styles(["tuned", *names])).svg
    assert svg.count("fill-opacity: 0.15") == bands
