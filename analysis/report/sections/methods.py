"""What each method scored and cost."""

from analysis.report import table
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.summary import MethodSummary
from analysis.written import INTERVALS
from tune_metalr.trial import MISSING, Role, Status

_COLUMNS = (
    Column("workload", is_text=True),
    Column("method", is_text=True),
    Column("role", is_text=True),
    Column("completed", ("completed",)),
    Column("of", ("wanted",)),
    Column("diverged, %", table.with_ends("diverged_share")),
    Column("test accuracy, completed runs, %", table.with_ends("completed_test_accuracy")),
    Column("all runs, %", table.with_ends("test_accuracy")),
    Column("gradients a run", ("gradient_evaluations_per_run",)),
    Column("device-s a run", ("device_seconds_per_run",)),
)


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return the table of methods."""
    rows = tuple(_row(row) for row in numbers.summaries)
    if not rows:
        return Section("methods", "Methods", ("The study has no methods, only searches.",))
    return Section(
        "methods",
        "Methods",
        tables=(Table("methods", "Every method on every workload", _COLUMNS, rows),),
        notes=(
            f"One run a seed. All runs: one without a score counts as guessing, or as the worst "
            f"run. Costs are means over runs, however they ended. A final is the winner of a "
            f"search, run again on fresh seeds. {INTERVALS}",
        ),
    )


def _row(row: MethodSummary) -> Row:
    missing = f", {row.counts[MISSING]} missing" if row.counts[MISSING] else ""
    cells = (
        table.text(row.workload),
        table.text(row.method),
        table.text("untuned" if row.role == Role.BASELINE else row.role),
        table.number(row.counts[Status.COMPLETED]),
        table.number(row.wanted, f"{row.wanted}{missing}"),
        table.share(row.diverged, digits=0),
        table.share(row.completed_score),
        table.share(row.score),
        table.number(row.gradient_evaluations),
        table.number(row.device_seconds),
    )
    return Row(cells, row.method)
