"""What tuning buys, and how much of it catches up with each untuned method."""

from collections.abc import Iterator

import numpy as np

from analysis.catching_up import LEADS_AT, CatchingUp
from analysis.provenance import doubtful_times
from analysis.report import table
from analysis.report.lines import MOST_LEVEL_BANDS, LineFigure, Panel, Series, line, with_lines
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.summary import MethodSummary
from analysis.tuning_curves import UNITS, TuningCurve, TuningCurves
from analysis.written import INTERVALS
from tune_metalr.trial import Role

_FEW_RERUNS = 0.5

_MATCHES = (
    Column("workload", is_text=True),
    Column("method", is_text=True),
    Column("tuned by", is_text=True),
    Column("trials to match", table.with_ends("trials_to_match")),
    Column("more than", ("more_than_trials",)),
    Column("gradients", table.with_ends("gradient_evaluations_to_match")),
    Column("runs' worth", table.with_ends("runs_to_match")),
    Column("device-s", table.with_ends("device_seconds_to_match")),
    Column("deployed model, trials", table.with_ends("deployed_trials_to_match")),
    Column("run again, %", ("rerun_share",)),
)
_LEADS = (
    Column("workload", is_text=True),
    Column("method", is_text=True),
    Column("tuned by", is_text=True),
    *(Column(f"lead at {n}, points", table.with_ends(f"lead_at_{n}")) for n in LEADS_AT),
)


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return budget curves, budgets to match and leads."""
    if not numbers.baselines:
        return Section(
            "budgets",
            "What tuning buys",
            ("Nothing was tuned: a budget to match needs a study with a 'searches' section.",),
        )
    rows = numbers.answers.rows
    left_out = tuple(f"Left out: {reason}" for reason in numbers.answers.left_out)
    return Section(
        "budgets",
        "What tuning buys",
        sentences=left_out if rows else ("No budget to match yet.", *left_out),
        figures=tuple(budget_figures(numbers.curves, numbers.summaries)),
        tables=(
            Table("budgets", "Budgets to match", _MATCHES, tuple(map(_match, rows))),
            Table("leads", "Lead of the untuned method after n trials of tuning", _LEADS,
                  tuple(map(_lead, rows))),
        ) if rows else (),
        notes=(*_explained(rows, bool(numbers.curves)), *_of_ranges(rows),
               *doubtful_times(data.trials, data.searches)),
    )  # fmt: skip


def budget_figures(
    curves: list[TuningCurves], summaries: list[MethodSummary]
) -> Iterator[LineFigure]:
    """Yield a figure for each workload: expected score over each unit of budget.

    Args:
        curves: Of the tuned baselines.
        summaries: Of all methods; untuned ones are straight lines.
    """
    for workload in dict.fromkeys(each.workload for each in curves):
        here = [each for each in curves if each.workload == workload]
        untuned = [
            row for row in summaries if row.workload == workload and row.role == Role.BASELINE
        ]
        panels = [budget_panel(unit, here, untuned) for unit in UNITS]
        yield LineFigure(
            f"budgets-{workload}",
            f"{workload}: expected test accuracy of what tuning selects",
            with_lines(panels),
        )


def budget_panel(unit: str, curves: list[TuningCurves], untuned: list[MethodSummary]) -> Panel:
    """Return curves of tuned baselines over one unit of budget, and untuned methods as levels."""
    tuned = [_tuned(each.label, found) for each in curves if (found := each.curves.get(unit))]
    ends = [value for series in tuned for value in (series.x[0], series.x[-1])]
    levels = [_level(row, min(ends), max(ends)) for row in untuned if row.score] if ends else []
    return Panel(
        title=f"over {unit}",
        x_label=f"{unit} of tuning",
        y_label="test accuracy, %",
        series=(*tuned, *levels),
        is_log_x=True,
        is_percent=True,
    )


def _tuned(name: str, found: TuningCurve) -> Series:
    if np.array_equal(found.low, found.high):  # a single search has no band
        return line(name, found.budgets, found.score)
    return line(name, found.budgets, found.score, low=found.low, high=found.high)


def _level(row: MethodSummary, first: float, last: float) -> Series:
    assert row.score is not None
    estimate, low, high = row.score
    return line(
        row.method, [first, last], [estimate] * 2, low=[low] * 2, high=[high] * 2, is_level=True
    )


def _match(row: CatchingUp) -> Row:
    cells = (
        table.text(row.baseline.workload),
        table.text(row.method),
        table.text(row.baseline.label),
        table.budget(row.trials),
        table.number(row.trials.more_than or None),
        table.budget(row.gradient_evaluations),
        table.budget(row.cost_ratio),
        table.budget(row.device_seconds),
        table.budget(row.deployed),
        table.number(row.rerun_share, f"{100 * row.rerun_share:.0f}"),
    )
    return Row(cells, row.method)


def _lead(row: CatchingUp) -> Row:
    names = (row.baseline.workload, row.method, row.baseline.label)
    leads = (table.difference(row.leads[n]) for n in LEADS_AT)
    return Row((*map(table.text, names), *leads), row.method)


def _explained(rows: list[CatchingUp], has_curves: bool) -> Iterator[str]:
    if has_curves:
        yield (
            "Curves: expected test accuracy of the configuration that a search has selected within "
            "a budget. Bands of tuned baselines hold the whole curve with 95 %, or are the range "
            "over repeats where those are fewer than ten; of them, what lies near the lines is "
            "shown. Straight lines need no tuning; their bands are 95 % intervals, drawn where at "
            f"most {MOST_LEVEL_BANDS} such methods are shown."
        )
    if rows:
        yield (
            f"Budgets: until the configuration that the search selects reaches the method's mean "
            f"on fresh seeds; every trial is charged, however it ended. {INTERVALS} 'never': not "
            f"within the budgets that the trials tell of. 'More than': a one-sided 95 % claim. "
            f"Deployed model: what n trials select, against the best of n restarts of the method."
        )
    if any(row.rerun_share < _FEW_RERUNS for row in rows):
        yield (
            "Run again: probability that what the budget selects was run on fresh seeds. The rest "
            "counts by its own run, whose luck selection favours: below 50 % the budget is rather "
            "too small."
        )
    if any(row.baseline.is_independent for row in rows):
        yield "A random search of n trials tells of budgets to n / 4."


def _of_ranges(rows: list[CatchingUp]) -> Iterator[str]:
    for baseline in {id(row.baseline): row.baseline for row in rows if row.is_range}.values():
        told = (
            f"brackets and bands are the range over {baseline.num_repeats} repeats, not an interval"
            if baseline.num_repeats > 1
            else "a single search has neither interval nor band"
        )
        yield f"{baseline.workload}, {baseline.label}: {told}."
