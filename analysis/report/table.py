"""A table once for all its forms: the page, Markdown, CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analysis import written
from analysis.intervals import Interval
from analysis.matching import BudgetToMatch

Value = str | float | None


class Column(NamedTuple):
    """A column as the reader sees it, and what the CSV holds of it."""

    title: str
    fields: tuple[str, ...] = ()
    """Names in the CSV; one with the unit for each number of a cell. The title, if not given."""
    is_text: bool = False


class Cell(NamedTuple):
    """What stands in a cell."""

    text: str
    values: tuple[Value, ...]
    """As in the CSV; the first one sorts."""

    @property
    def sort_key(self) -> str:
        """What a page sorts by; nothing for a value that does not exist."""
        first = self.values[0]
        if first is None or (isinstance(first, float) and math.isnan(first)):
            return ""
        return str(first)


class Row(NamedTuple):
    """A row, and the method that it is about, if it is about one."""

    cells: tuple[Cell, ...]
    method: str | None = None


class Table(NamedTuple):
    """Rows under columns."""

    name: str
    """Of its CSV."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


def text(value: object) -> Cell:
    """Return a cell of plain text."""
    return Cell(str(value), (str(value),))


def count(value: int) -> Cell:
    """Return a cell of a count; a zero is left blank, so that what is there stands out."""
    return Cell(str(value) if value else "", (value,))


def number(value: float | None, shown: str | None = None) -> Cell:
    """Return a cell of a number, `-` for none."""
    return Cell(written.number(value) if shown is None else shown, (value,))


def share(interval: Interval | None, *, digits: int = 2) -> Cell:
    """Return a cell of a share in percent with its ends."""
    return Cell(written.percent(interval, digits=digits), _ends(interval))


def difference(interval: Interval | None) -> Cell:
    """Return a cell of a difference in points with its ends."""
    return Cell(written.points(interval), _ends(interval))


def budget(match: BudgetToMatch | None) -> Cell:
    """Return a cell of a budget to match with its ends; `inf` in the CSV is never."""
    values = (None, None, None) if match is None else (match.budget, match.low, match.high)
    return Cell(written.budget(match), values)


def p_value(value: float) -> Cell:
    """Return a cell of a p-value, `-` where nothing was tested."""
    return Cell(written.p_value(value), (value,))


def with_ends(name: str) -> tuple[str, str, str]:
    """Return the fields of an estimate with its interval."""
    return name, f"{name}_low", f"{name}_high"


def to_csv(table: Table) -> str:
    """Return the table's numbers, one field a number; what does not exist is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = [name for column in table.columns for name in column.fields or (column.title,)]
    writer.writerow(fields)
    for row in table.rows:
        writer.writerow([_plain(value) for cell in row.cells for value in cell.values])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Return the table in Markdown."""
    return markdown_table(
        [markdown_text(column.title) for column in table.columns],
        [[markdown_text(cell.text) for cell in row.cells] for row in table.rows],
        is_text=[column.is_text for column in table.columns],
    )


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, is_text: Sequence[bool]
) -> str:
    """Return a table of cells that are Markdown; columns of numbers stand to the right."""
    rule = ["---" if each else "---:" for each in is_text]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def _ends(interval: Interval | None) -> tuple[Value, ...]:
    return (None, None, None) if interval is None else tuple(interval)


def _plain(value: Value) -> Value:
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.10g}")
    return "" if value is None else value


def markdown_text(shown: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    special = str.maketrans({mark: f"\\{mark}" for mark in "\\|<>*_`[]&"})
    return " ".join(shown.split()).translate(special)
