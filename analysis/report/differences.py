"""The figure of differences from the reference, with intervals and the margin."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from analysis.comparison import Comparison
from analysis.intervals import Interval


class DifferenceRow(NamedTuple):
    """One method against the reference."""

    method: str
    difference_points: Interval
    """Percentage points; infinite ends for a single pair."""
    verdict: str


class DifferenceFigure(NamedTuple):
    """All methods of one workload."""

    name: str
    title: str
    reference: str
    margin_points: float
    rows: tuple[DifferenceRow, ...]
    """The highest difference first."""
    note: str = ""

    @property
    def names(self) -> list[str]:
        """The methods that it shows."""
        return [row.method for row in self.rows]


def difference_figures(
    comparisons: Sequence[Comparison], *, margin_on: Callable[[str], float], reference: str
) -> tuple[DifferenceFigure, ...]:
    """Return a figure for each workload on which anything can be compared.

    Args:
        comparisons: Of `compare_methods`.
        margin_on: Difference in accuracy that counts as 'as good', by workload.
        reference: Of the comparisons.
    """
    rows: dict[str, list[DifferenceRow]] = {}
    for each in comparisons:
        if each.difference is not None:
            points = Interval(*(100 * value for value in each.difference))
            row = DifferenceRow(each.method, points, str(each.verdict))
            rows.setdefault(each.workload, []).append(row)
    return tuple(
        DifferenceFigure(
            name=f"differences-{workload}",
            title=f"{workload}: difference from {reference}, points of test accuracy",
            reference=reference,
            margin_points=100 * margin_on(workload),
            rows=tuple(sorted(group, key=lambda row: -row.difference_points.estimate)),
        )
        for workload, group in rows.items()
    )
