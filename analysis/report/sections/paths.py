"""The learning rates that methods set, with the rate that tuning found."""

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.arrays import FloatArray
from analysis.rate_paths import RatePaths
from analysis.report.lines import LineFigure, Panel, Series, line, with_lines
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return the paths of each workload."""
    figures = tuple(path_figures(data.paths, numbers))
    if not figures:
        return Section("paths", "Learning-rate paths", ("No run has recorded its rates yet.",))
    return Section(
        "paths",
        "Learning-rate paths",
        figures=figures,
        notes=(
            "Median over runs, and the band between the quantiles 0.1 and 0.9. A rate of 0 has no "
            "place on a logarithmic axis and is a gap. Straight lines: the peak rate that a search "
            "has selected. Of a method that multiplies the rate by a step size it finds itself, "
            "such as Prodigy and DoG, the ledger records the factor alone.",
        ),
    )


def path_figures(paths: Sequence[RatePaths], numbers: Numbers) -> Iterator[LineFigure]:
    """Yield a figure for each workload that has any path."""
    searched = {baseline.label for baseline in numbers.baselines}
    for workload in dict.fromkeys(each.workload for each in paths):
        tuned = [
            _tuned(each.name, each.best_rate)
            for each in numbers.sensitivities
            if each.workload == workload and each.name in searched and each.best_rate
        ]
        drawn = [_series(each) for each in paths if each.workload == workload]
        panel = Panel(
            title="",
            x_label="share of training, %",
            y_label="learning rate",
            series=tuple(each for each in [*drawn, *tuned] if np.isfinite(each.y).any()),
            is_log_y=True,
        )
        if panels := with_lines([panel]):
            yield LineFigure(
                f"paths-{workload}",
                f"{workload}: learning rate while training",
                panels,
                is_facetted=True,
            )


def _series(each: RatePaths) -> Series:
    low, median, high = (_positive(rates) for rates in (each.low, each.median, each.high))
    return line(each.method, 100 * each.progress, median, low=low, high=high)


def _positive(rates: FloatArray) -> FloatArray:
    shown: FloatArray = np.where(rates > 0, rates, np.nan)
    return shown


def _tuned(name: str, rate: float) -> Series:
    return line(name, [0.0, 100.0], [rate, rate], is_level=True)
