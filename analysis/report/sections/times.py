"""How soon each method reaches its workload's target."""

from collections.abc import Iterator

from analysis import written
from analysis.reaching import Reached, WorkloadProfile
from analysis.report import table
from analysis.report.lines import LineFigure, Panel, line
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.speed import MethodSpeed, ProfileScore

_COLUMNS = (
    Column("workload", is_text=True),
    Column("method", is_text=True),
    Column("target, %", ("target_accuracy",)),
    Column("reached, %", table.with_ends("reached_share")),
    Column("median epochs", ("median_epochs",)),
    Column("ERT epochs", ("ert_epochs",)),
    Column("ERT steps", ("ert_steps",)),
    Column("ERT s", ("ert_seconds",)),
)
_SCORES = (
    Column("method", is_text=True),
    Column("AlgoPerf score", table.with_ends("algoperf_score")),
    Column("100-point trapezoid", ("algoperf_trapezoid",)),
)

_MOST_MARKED = 21
"""Epochs that are marked: a step at the last one would else be hidden by the frame."""


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return times to target, and who reaches it when."""
    if not numbers.speeds:
        return Section("times", "Time to target", ("No run towards a target yet.",))
    rows = tuple(_row(each) for each in numbers.speeds)
    tables = [Table("times", "Time to target on validation", _COLUMNS, rows)]
    scores = numbers.profile.scores
    if len(scores) > 1 and any(score.exact.score for score in scores):
        tables.append(
            Table("profiles", "Score over workloads", _SCORES, tuple(map(_score, scores)))
        )
    return Section(
        "times",
        "Time to target",
        figures=(
            *reaching_figures(numbers.reached),
            *profile_figures(numbers.workload_profiles),
        ),
        tables=tuple(tables),
        notes=tuple(_notes(numbers)),
    )


def reaching_figures(reached: list[Reached]) -> Iterator[LineFigure]:
    """Yield a figure for each workload: the share of runs at the target over epochs."""
    for workload in dict.fromkeys(each.workload for each in reached):
        here = [each for each in reached if each.workload == workload]
        panel = Panel(
            title=f"target {100 * here[0].target_accuracy:g} % of validation accuracy",
            x_label="epochs",
            y_label="runs at the target, %",
            series=tuple(
                line(
                    each.method,
                    each.epochs,
                    each.share,
                    has_points=len(each.epochs) <= _MOST_MARKED,
                )
                for each in here
            ),
            is_percent=True,
            is_whole_share=True,
            is_whole_x=True,
            is_stepped=True,
        )
        yield LineFigure(f"times-{workload}", f"{workload}: runs at the target", (panel,))


def profile_figures(profiles: list[WorkloadProfile]) -> Iterator[LineFigure]:
    """Yield the performance profile over workloads, if there are several."""
    if profiles:
        panel = Panel(
            title="by median epochs to target",
            x_label="times the fastest method's epochs",
            y_label="workloads, %",
            series=tuple(line(each.method, each.taus, each.share) for each in profiles),
            is_percent=True,
            is_whole_share=True,
            is_stepped=True,
        )
        yield LineFigure("profile", "Workloads on which a method is within a factor of the fastest",
                         (panel,))  # fmt: skip


def _row(each: MethodSpeed) -> Row:
    times = (
        each.epochs.median, each.epochs.expected, each.steps.expected, each.seconds.expected
    )  # fmt: skip
    cells = (
        table.text(each.workload),
        table.text(each.method),
        table.number(each.target_accuracy, f"{100 * each.target_accuracy:g}"),
        table.share(each.epochs.success, digits=0),
        *(table.number(value, written.time(value)) for value in times),
    )
    return Row(cells, each.method)


def _score(each: ProfileScore) -> Row:
    score, low, high = each.exact
    cells = (
        table.text(each.method),
        table.Cell(f"{score:.3f} [{low:.3f}, {high:.3f}]", (score, low, high)),
        table.number(each.trapezoid, f"{each.trapezoid:.3f}"),
    )
    return Row(cells, each.method)


def _notes(numbers: Numbers) -> Iterator[str]:
    yield (
        "Accuracy on validation at the ends of epochs. A miss is infinite in the median; ERT, the "
        "expected running time until a success, charges it with what it spent. Reached: with "
        "Wilson's 95 % interval."
    )
    if numbers.profile.scores:
        yield (
            f"AlgoPerf score by median epochs, on {', '.join(numbers.profile.workloads)}; in "
            f"brackets the range when one other method is left out."
        )
    if numbers.profile.left_out:
        yield f"Not run by every method, and not scored: {', '.join(numbers.profile.left_out)}."
