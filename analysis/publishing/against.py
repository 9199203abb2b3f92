"""One method beside every other untuned one, workload by workload, in words and in a table."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis import written
from analysis.choices import AnalysisChoices
from analysis.comparison import Comparison, Verdict, compare_with_each
from analysis.publishing.cuts import cut
from analysis.report import table
from analysis.report.numbers import Numbers
from analysis.report.sentences import matching_sentence, score_sentence
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.sooner import Sooner, sooner_than_each
from analysis.stats import seeds_needed
from analysis.summary import MethodSummary
from tune_metalr.trial import Role

METALR = "metalr"
"""Its name in every study, and that of its controller."""

_SURE = 0.05
"""Largest p-value of a sign test that is called more than chance."""

_VARIANTS = (METALR, "prior")
"""Controllers that are MetaLR or a part of it: who has one is no rival."""

_COLUMNS = (
    Column("workload", is_text=True),
    Column("against", is_text=True),
    Column("pairs"),
    Column("points"),
    Column("Holm p"),
    Column("verdict", is_text=True),
    Column("median epochs to target", is_text=True),
    Column("seeds sooner, later"),
)


class Against(NamedTuple):
    """A method beside another one on one workload."""

    comparison: Comparison
    sooner: Sooner | None
    """`None` if the workload has no target, or the two no common seed."""
    is_variant: bool
    """Whether the other one is a form of the same method."""

    @property
    def rival(self) -> str:
        """The other one."""
        return self.comparison.reference


def against_each(data: StudyData, numbers: Numbers, method: str) -> list[Against]:
    """Return a method beside each other untuned one; nothing if it is not in the study."""
    sooner = {(each.workload, each.rival): each for each in sooner_than_each(data.trials, method)}
    return [
        Against(
            each,
            sooner.get((each.workload, each.reference)),
            numbers.controllers.get(each.reference) in _VARIANTS,
        )
        for each in compare_with_each(data.trials, method, data.choices)
    ]


def answers_in_words(data: StudyData, numbers: Numbers, method: str) -> Iterator[str]:
    """Yield a paragraph for each workload: ends better, is there sooner, spares tuning?"""
    rows = against_each(data, numbers, method)
    for own in numbers.summaries:
        if own.method == method and own.role == Role.BASELINE and own.score:
            here = [row for row in rows if row.comparison.workload == own.workload]
            told = [
                score_sentence(own),
                *_better([row for row in here if not row.is_variant]),
                *_sooner([row for row in here if not row.is_variant]),
                *_spared(own, numbers),
                *map(_variant, (row for row in here if row.is_variant)),
            ]
            title = f"**{own.workload}**, {cut(data.trials, own.workload)}. "
            yield title + table.markdown_text(" ".join(told))


def table_against(rows: Sequence[Against]) -> str:
    """Return a Markdown table, on each workload the closest rival first."""
    places = list(dict.fromkeys(row.comparison.workload for row in rows))
    ordered = sorted(rows, key=lambda row: (places.index(row.comparison.workload), _lead(row)))
    return table.to_markdown(Table("against", "", _COLUMNS, tuple(map(_row, ordered))))


def captions(rows: Sequence[Against], choices: AnalysisChoices) -> Iterator[str]:
    """Yield how the words and the table are meant."""
    if not rows:
        return
    workloads = [row.comparison.workload for row in rows]
    each = choices.family == "workload"
    size = max(workloads.count(name) for name in workloads) if each else len(rows)
    yield (
        f"Points: mean of {rows[0].comparison.method} less the other one over paired seeds, with "
        f"the 95 % interval of this one difference. Verdicts: exact sign-flip tests at "
        f"{choices.alpha:g} with Holm's correction over {size} comparisons, so that 'better' takes "
        f"{seeds_needed(size, choices.alpha)} pairs at least. 'As good': tested to be within "
        f"{choices.margins_told(workloads)}. Sooner, later: seeds that are at the target at an "
        f"earlier epoch, or a later one, than the other; whether that is chance is a sign test, by "
        f"Holm over the workload's rows."
    )


def _better(rivals: Sequence[Against]) -> Iterator[str]:
    """Yield whether it ends better than its rivals, and where it does not lead."""
    paired = [row for row in rivals if row.comparison.difference]
    if alone := [row.rival for row in rivals if not row.comparison.num_pairs]:
        yield f"No common seed yet with {', '.join(alone)}."
    if not paired:
        return
    told = {
        verdict: [row.rival for row in paired if row.comparison.verdict == verdict]
        for verdict in Verdict
    }
    counts = [
        f"{verdict} {len(names)}{_of(names) if verdict != Verdict.UNDECIDED else ''}"
        for verdict, names in told.items()
        if names
    ]
    yield f"Does it end better? Against {_count(len(paired), 'rival')}: {'; '.join(counts)}."
    closest = min(paired, key=_lead)
    yield f"Closest is {closest.rival}: {_points(closest.comparison)}."
    higher = [row.rival for row in paired if _lead(row) < 0]
    yield f"Higher in the mean than it: {', '.join(higher) or 'none'}."


def _sooner(rivals: Sequence[Against]) -> Iterator[str]:
    """Yield whether it is at the target sooner than its rivals."""
    timed = [row.sooner for row in rivals if row.sooner]
    if not timed:
        return
    sooner = [each for each in timed if each.sooner > each.later]
    surely = [each for each in sooner if each.sign_p <= _SURE]
    later = [
        f"{each.rival} ({each.later} of {each.num_pairs} seeds; sooner on {each.sooner})"
        for each in timed
        if each.later > each.sooner
    ]
    yield (
        f"Is it at {100 * timed[0].target_accuracy:g} % on validation sooner? On more seeds than "
        f"not against {len(sooner)} of {len(timed)}, beyond chance against {len(surely)} of them. "
        f"Later on more seeds than not: {', '.join(later) or 'none'}."
    )


def _spared(own: MethodSummary, numbers: Numbers) -> Iterator[str]:
    """Yield how much tuning matches it."""
    rows = [
        each
        for each in numbers.answers.rows
        if (each.baseline.workload, each.method) == (own.workload, own.method)
    ]
    if rows:
        yield "Does it spare tuning?"
        yield from map(matching_sentence, rows)


def _variant(row: Against) -> str:
    if row.comparison.difference is None:
        return f"Beside {row.rival}: no common seed yet."
    return f"Beside its variant {row.rival}: {_points(row.comparison)}."


def _points(comparison: Comparison) -> str:
    told = written.points(comparison.difference).replace(" [", " points [", 1)
    return f"{told} ({_count(comparison.num_pairs, 'pair')}, {comparison.verdict})"


def _lead(row: Against) -> float:
    difference = row.comparison.difference
    return difference.estimate if difference else math.inf


def _of(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _row(row: Against) -> Row:
    comparison, sooner = row.comparison, row.sooner
    cells = (
        table.text(comparison.workload),
        table.text(row.rival),
        table.number(comparison.num_pairs),
        table.difference(comparison.difference),
        table.p_value(comparison.holm_p),
        table.text(comparison.verdict),
        table.text(_epochs(sooner)),
        table.text(f"{sooner.sooner}, {sooner.later}" if sooner else "-"),
    )
    return Row(cells, row.rival)


def _epochs(sooner: Sooner | None) -> str:
    if sooner is None:
        return "no target"
    own, other = map(written.time, (sooner.median_epochs, sooner.rivals_median_epochs))
    return f"{own} against {other}"
