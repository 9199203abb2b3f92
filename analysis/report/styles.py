"""One look for each method on every figure, in every light, for every eye."""

from collections.abc import Iterable
from typing import NamedTuple

COLOURS = (
    "#005bdf",  # blue
    "#ec7100",  # orange
    "#287259",  # green
    "#b13e0e",  # brick
    "#ac88aa",  # mauve
    "#95965a",  # olive
    "#6193ec",  # sky
    "#765799",  # violet
)
"""Each stands out by 3 to 1 both from white and from the dark page, and any two differ by more than
20 in CIELAB, to colour-blind eyes too: a test simulates them."""

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
