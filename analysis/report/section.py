"""What a section of the report is made of."""

from typing import NamedTuple

from analysis.report.differences import DifferenceFigure
from analysis.report.lines import LineFigure
from analysis.report.table import Table

Figure = LineFigure | DifferenceFigure


class Section(NamedTuple):
    """Sentences, then figures, then tables, then what explains them."""

    name: str
    """Of its anchor."""
    title: str
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What must be known before anything else is read."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """Further sentences, folded on the page."""
