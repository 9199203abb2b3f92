"""The README's picture: what tuning buys, beside methods that need none."""

from analysis.publishing.first_table import Shown
from analysis.publishing.studied import Studied
from analysis.report.drawing import drawn
from analysis.report.lines import LineFigure, with_lines
from analysis.report.sections.budgets import budget_panel
from analysis.report.styles import styles
from analysis.tuning_curves import UNITS
from tune_metalr.trial import Role


def first_picture(study: Studied, shown: Shown) -> str | None:
    """Return an SVG with a panel for each workload on which the search has a curve, if any has."""
    untuned = [
        row
        for row in study.numbers.summaries
        if row.role == Role.BASELINE and row.method in shown.methods
    ]
    panels = []
    for workload in dict.fromkeys(row.workload for row in untuned):
        curves = [
            each
            for each in study.numbers.curves
            if (each.workload, each.label) == (workload, shown.search)
        ]
        levels = [row for row in untuned if row.workload == workload]
        if curves:
            panels.append(budget_panel(UNITS[0], curves, levels)._replace(title=workload))
    if not panels:
        return None
    figure = LineFigure(
        "first", "Expected test accuracy of what tuning selects, by trials", with_lines(panels)
    )
    return drawn(figure, styles([*shown.methods, shown.search])).svg
