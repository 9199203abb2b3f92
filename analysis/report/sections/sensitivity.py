"""How much hangs on the rate."""

from collections.abc import Iterator, Sequence

from analysis.report import table
from analysis.report.lines import LineFigure, Panel, line
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.sensitivity import TOLERANCE, Sensitivity

_COLUMNS = (
    Column("workload", is_text=True),
    Column("trials of", is_text=True),
    Column("trials", ("trials",)),
    Column("lowest rate", ("lowest_rate",)),
    Column("highest rate", ("highest_rate",)),
    Column("best rate", ("best_rate",)),
    Column("good range, decades", ("good_decades",)),
    Column("at the edge", is_text=True),
)


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return accuracy and divergence over the rate."""
    found = numbers.sensitivities
    if not found:
        return Section(
            "sensitivity",
            "Sensitivity to the rate",
            ("No method or search was run at several rates.",),
        )
    return Section(
        "sensitivity",
        "Sensitivity to the rate",
        sentences=tuple(_warnings(found)),
        figures=tuple(sensitivity_figures(found)),
        tables=(Table("sensitivity", "Rates that were tried", _COLUMNS, tuple(map(_row, found))),),
        notes=(
            f"Median test accuracy of all trials at about a rate; one without a score counts as "
            f"guessing, or as the worst run. Other settings of a search vary too and are averaged "
            f"over. Good: within {100 * TOLERANCE:g} % of accuracy of the best median, around it "
            f"without a gap. Best rate: of the trial that validation selects.",
        ),
    )


def sensitivity_figures(found: Sequence[Sensitivity]) -> Iterator[LineFigure]:
    """Yield a figure for each workload: median accuracy, and the share that diverged."""
    for workload in dict.fromkeys(each.workload for each in found):
        here = [each for each in found if each.workload == workload]
        accuracy = tuple(
            line(each.name, _rates(each), [b.median_score for b in each.bins], has_points=True)
            for each in here
        )
        diverged = tuple(
            line(
                each.name, _rates(each), [b.diverged.estimate for b in each.bins],
                low=[b.diverged.low for b in each.bins], high=[b.diverged.high for b in each.bins],
                has_points=True,
            )
            for each in here
        )  # fmt: skip
        yield LineFigure(
            f"sensitivity-{workload}",
            f"{workload}: accuracy and divergence over the rate",
            (
                Panel("median of trials", "learning rate", "test accuracy, %", accuracy,
                      is_log_x=True, is_percent=True),
                Panel("share that diverged, Wilson's 95 % interval", "learning rate",
                      "diverged, %", diverged, is_log_x=True, is_percent=True,
                      is_whole_share=True),
            ),
        )  # fmt: skip


def _rates(each: Sensitivity) -> list[float]:
    return [b.rate for b in each.bins]


def _warnings(found: Sequence[Sensitivity]) -> Iterator[str]:
    for each in found:
        if each.is_at_edge:
            yield (
                f"At the edge: on {each.workload} the best rate of {each.name}, "
                f"{each.best_rate:.3g}, lies in the outer tenth of what was tried, "
                f"{each.lowest_rate:.3g} to {each.highest_rate:.3g}; a wider range may be better."
            )


def _row(each: Sensitivity) -> Row:
    best, width = each.best_rate, each.good_decades
    cells = (
        table.text(each.workload),
        table.text(each.name),
        table.number(each.num_trials),
        *(table.number(rate, f"{rate:.3g}") for rate in (each.lowest_rate, each.highest_rate)),
        table.number(best, "-" if best is None else f"{best:.3g}"),
        table.number(width, "-" if width is None else f"{width:.2f}"),
        table.text("yes" if each.is_at_edge else ""),
    )
    return Row(cells, each.name)
