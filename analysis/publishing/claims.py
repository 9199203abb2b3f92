"""What was claimed before anything was measured, each with the figure that was found."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.publishing.against import METALR
from analysis.publishing.cuts import cut
from analysis.publishing.studied import Studied
from analysis.report import table
from analysis.report.table import Column, Row, Table
from analysis.summary import MethodSummary
from tune_metalr.trial import MISSING, Role

_COLUMNS = (
    Column("claim", is_text=True),
    Column("measured on", is_text=True),
    Column("test accuracy, %"),
    Column("runs"),
    Column("holds as measured?", is_text=True),
)

_OPEN = table.text("open")


class Threshold(NamedTuple):
    """A claim that MetaLR's mean test accuracy on a workload lies above something."""

    study: str
    workload: str
    above: float
    about: str


THRESHOLDS = (
    Threshold("zero-tuning-cpu", "sst2-lstm", 0.487, "SST-2, its 872 sentences (guessing: 50 %)"),
    Threshold("full-length-imdb", "imdb-lstm", 0.856, "IMDB, whole reviews"),
)


def thresholds_table(
    studies: Mapping[str, Studied], thresholds: Sequence[Threshold] = THRESHOLDS
) -> str:
    """Return a Markdown table with a row for each claim; what was not run says so."""
    rows = tuple(_row(each, studies.get(each.study)) for each in thresholds)
    return table.to_markdown(Table("claims", "", _COLUMNS, rows))


def _row(threshold: Threshold, study: Studied | None) -> Row:
    claim = table.text(f"{threshold.about}: above {100 * threshold.above:.1f} %")
    found = _metalr(threshold, study)
    if study is None or found is None:
        where = f"{threshold.study}, not run yet"
        return Row((claim, table.text(where), table.share(None), table.number(0), _OPEN))
    ran = found.wanted - found.counts[MISSING]
    cells = (
        claim,
        table.text(f"{threshold.study}: {cut(study.data.trials, threshold.workload)}"),
        table.share(found.score),
        table.number(ran, f"{ran} of {found.wanted}"),
        table.text(_verdict(found, threshold.above)),
    )
    return Row(cells)


def _metalr(threshold: Threshold, study: Studied | None) -> MethodSummary | None:
    for row in study.numbers.summaries if study else ():
        is_ours = (row.workload, row.method) == (threshold.workload, METALR)
        if is_ours and row.role == Role.BASELINE and row.score:
            return row
    return None


def _verdict(found: MethodSummary, above: float) -> str:
    assert found.score
    if found.score.low > above:
        return "yes"
    return "no" if found.score.high < above else "undecided"
