"""One look for each method on every figure, in every light, for every eye."""

from collections.abc import Iterable
from typing import NamedTuple

COLOURS = (
    "#0173b2",  # blue
    "#c47a00",  # orange
    "#02926a",  # green
    "#d55e00",  # vermilion
    "#b3669f",  # purple
    "#8a6a4a",  # brown
    "#3a93c4",  # sky
    "#7f7f7f",  # grey
)
"""After seaborn's colour-blind palette, darkened until each one stands out by 3 to 1 both from
white and from the dark page."""

DASHES = ((), (7, 3), (2, 2), (8, 3, 2, 3))
"""Lengths of strokes and gaps, in points."""

MARKERS = ("o", "s", "^", "D")


class Style(NamedTuple):
    """What tells a method from all others: colour first, then dash and marker."""

    place: int
    """Place among all names of the report."""
    colour: str
    dash: tuple[int, ...]
    """Empty for a whole line."""
    marker: str


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Return each name's style, in the order in which the study names them.

    Colours come back after eight names, with another dash and marker: 32 names differ.
    """
    ordered = list(dict.fromkeys(names))
    return {name: _style(index) for index, name in enumerate(ordered)}


def _style(index: int) -> Style:
    turn = index // len(COLOURS) % len(DASHES)
    return Style(index, COLOURS[index % len(COLOURS)], DASHES[turn], MARKERS[turn])
