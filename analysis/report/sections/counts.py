"""What the numbers rest on: counts of every status, costs, versions, and how to run it again."""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from analysis.provenance import Recorded, Spent
from analysis.report import table
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.sentences import total_and_missing
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.searches import TunedBaseline
from analysis.summary import MethodSummary
from tune_metalr.trial import MISSING, Role, Status

_KINDS = (*Status, MISSING)
_COUNTS = (
    Column("workload", is_text=True),
    Column("method or search", is_text=True),
    Column("role", is_text=True),
    *(Column(str(kind), (str(kind),)) for kind in _KINDS),
    Column("of", ("wanted",)),
)
_COSTS = (
    Column("role", is_text=True),
    Column("trials", ("trials",)),
    Column("gradients", ("gradient_evaluations",)),
    Column("further losses", ("forward_evaluations",)),
    Column("device-hours", ("device_hours",)),
    Column("of them lost", ("lost_hours",)),
)
_VERSIONS = (
    Column("what", is_text=True),
    Column("value", is_text=True),
    Column("trials", ("trials",)),
)
_REASONS = (
    Column("status", is_text=True),
    Column("reason", is_text=True),
    Column("method first", is_text=True),
    Column("trials", ("trials",)),
)
_MOST_REASONS = 20
_WITHOUT_SCORE = (Status.FAILED, Status.DIVERGED, Status.PRUNED)


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return counts, costs and provenance."""
    rows = (*map(_method, numbers.summaries), *map(_search, numbers.baselines))
    tables = [Table("counts", "How every trial ended", _COUNTS, tuple(rows))]
    if reasons := tuple(_reasons(data)):
        tables.append(Table("reasons", "Why trials have no score", _REASONS, reasons))
    tables.append(Table("costs", "Cost", _COSTS, tuple(map(_spent, numbers.spent))))
    tables.append(Table("provenance", "Provenance", _VERSIONS, tuple(_versions(numbers.versions))))
    return Section(
        "counts",
        "What this rests on",
        sentences=tuple(_sentences(data, numbers)),
        tables=tuple(each for each in tables if each.rows),
        notes=(
            "Device-hours: CPU slots that trials held, of training, evaluation and lost attempts. "
            "Further losses: minibatch losses beyond those of the gradients, as of probes.",
        ),
    )


def _sentences(data: StudyData, numbers: Numbers) -> Iterator[str]:
    wanted, missing = total_and_missing(numbers, data)
    yield (
        f"{missing} of {wanted} trials have not been run."
        if missing
        else f"All {wanted} trials have been run."
    )
    if numbers.period:
        first, last = (_minute(text) for text in numbers.period)
        yield f"Run between {first} and {last} UTC."
    mixed = [each.name for each in numbers.versions if each.is_mixed]
    if mixed:
        yield f"Mixed: not all trials have the same {', '.join(mixed)}; see the table."
    for runs in data.development:
        earlier = f", {runs.superseded} of them superseded" if runs.superseded else ""
        yield (
            f"Development: {runs.development} of {runs.recorded} recorded trials on "
            f"{runs.workload} were run while a method was being designed{earlier}."
        )
    if data.num_superseded:
        yield (
            f"{data.num_superseded} recorded trials are of an earlier form of the study, and in no "
            f"number here but those of development runs."
        )
    for reason in data.damaged.values():
        yield f"Damaged, and left out: {reason}."


def _minute(text: str) -> str:
    return text[:16].replace("T", " ")


def _method(row: MethodSummary) -> Row:
    names = (row.workload, row.method, _role(row.role))
    counts = (table.count(row.counts[kind]) for kind in _KINDS)
    return Row((*map(table.text, names), *counts, table.number(row.wanted)), row.method)


def _role(role: str) -> str:
    return "untuned" if role == Role.BASELINE else role


def _search(baseline: TunedBaseline) -> Row:
    names = (baseline.workload, baseline.label, str(Role.SEARCH))
    counts = (table.count(baseline.counts[kind]) for kind in _KINDS)
    total = table.number(baseline.counts.total())
    return Row((*map(table.text, names), *counts, total), baseline.label)


def _reasons(data: StudyData) -> Iterator[Row]:
    """Yield the most frequent reasons of each status that is not a score."""
    searched = data.searches.assign(method=data.searches["search"])
    frames = [frame[["status", "error", "method"]] for frame in (data.trials, searched)]
    broken = pd.concat([f[f["status"].isin(_WITHOUT_SCORE)] for f in frames], ignore_index=True)
    told = broken.assign(error=broken["error"].fillna("no reason recorded"))
    firsts = told.drop_duplicates(["status", "error"]).set_index(["status", "error"])["method"]
    pairs = zip(told["status"], told["error"], strict=True)
    for (status, error), count in Counter(pairs).most_common(_MOST_REASONS):
        names = (status, error, firsts[status, error])
        yield Row((*map(table.text, names), table.number(count)))


def _spent(each: Spent) -> Row:
    hours = (table.number(value, f"{value:.2f}") for value in (each.device_hours, each.lost_hours))
    counts = (each.num_trials, each.gradient_evaluations, each.forward_evaluations)
    role = _role(each.role)
    return Row((table.text(role), *map(table.number, counts), *hours))


def _versions(recorded: list[Recorded]) -> Iterator[Row]:
    for each in recorded:
        for value, count in each.values:
            yield Row((table.text(each.name), table.text(value), table.number(count)))
