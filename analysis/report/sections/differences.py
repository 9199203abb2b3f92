"""Every method against the reference, with intervals and the margin."""

from collections.abc import Iterator

from analysis.choices import AnalysisChoices
from analysis.comparison import Comparison, Family
from analysis.overall import Overall
from analysis.report import table
from analysis.report.differences import difference_figures
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.written import INTERVALS

_COLUMNS = (
    Column("workload", is_text=True),
    Column("method", is_text=True),
    Column("pairs", ("pairs",)),
    Column("accuracy, %", ("test_accuracy",)),
    Column("difference, points", table.with_ends("difference")),
    Column("p (Holm)", ("holm_p",)),
    Column("p, not worse by the margin", ("non_inferiority_p",)),
    Column("P(better)", ("probability_of_improvement",)),
    Column("Cliff's delta", ("cliffs_delta",)),
    Column("verdict", is_text=True),
)
_OVERALL = (
    Column("method", is_text=True),
    Column("interquartile mean, %", table.with_ends("iqm")),
    Column("difference, points", table.with_ends("iqm_difference")),
    Column("P(better)", ("probability_of_improvement",)),
    Column("mean rank", ("mean_rank",)),
)


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return the comparisons of every method with the reference."""
    family = numbers.family
    if family is None:
        reason = numbers.why_no_family
        return Section("differences", "Differences", (f"Nothing is compared: {reason}.",))
    rows = tuple(_row(each) for each in family.comparisons)
    tables = [Table("differences", f"Against {family.reference}", _COLUMNS, rows)]
    if numbers.overall:
        tables.append(_overall(numbers.overall, family.reference))
    return Section(
        "differences",
        "Differences",
        figures=difference_figures(
            family.comparisons, margin_on=data.choices.margin_on, reference=family.reference
        ),
        tables=tuple(tables),
        notes=tuple(_notes(family, data.choices, numbers.overall)),
    )


def _row(each: Comparison) -> Row:
    cells = (
        table.text(each.workload),
        table.text(each.method),
        table.number(each.num_pairs),
        table.number(each.score, "-" if each.score is None else f"{100 * each.score:.2f}"),
        table.difference(each.difference),
        table.p_value(each.holm_p),
        table.p_value(each.non_inferiority_p),
        _share(each.probability_of_improvement),
        _share(each.cliffs_delta),
        table.text(each.verdict),
    )
    return Row(cells, each.method)


def _share(value: float | None) -> table.Cell:
    return table.number(value, "-" if value is None else f"{value:.2f}")


def _overall(across: Overall, reference: str) -> Table:
    rows = []
    for place, method in enumerate(across.methods):
        is_reference = method == reference
        rank = None if across.ranking is None else float(across.ranking.mean_ranks[place])
        cells = (
            table.text(method),
            table.share(across.across.iqm[place]),
            table.difference(None if is_reference else across.across.iqm_difference[place]),
            _share(None if is_reference else float(across.improvement[place])),
            _share(rank),
        )
        rows.append(Row(cells, method))
    return Table("overall", "Over all workloads", _OVERALL, tuple(rows))


def _notes(family: Family, choices: AnalysisChoices, across: Overall | None) -> Iterator[str]:
    yield (
        f"Paired by seed with {family.reference}; exact sign-flip tests, Holm over the "
        f"{choices.family}, alpha {choices.alpha:g}. 'As good' is a test of its own: worse by less "
        f"than {choices.margins_told(row.workload for row in family.comparisons)}, if at all. "
        f"{INTERVALS}"
    )
    if any(row.num_pairs == 1 for row in family.comparisons):
        yield "Hollow in the figure: a single pair, of which no interval can be given."
    rows = family.comparisons
    counts = {
        f"comparisons have fewer than {family.seeds_needed} pairs, without which no difference of "
        "this family can be significant on its own": sum(
            row.num_pairs < family.seeds_needed for row in rows
        ),
        "runs have no score and count as guessing, or as the worst run": family.runs_without_score,
        "pairs have no score on either side and are left out": sum(
            row.num_without_score for row in rows
        ),
        "pairs lack a run": sum(row.num_missing for row in rows),
        "comparisons leave out seeds that only one of the two methods has": sum(
            row.num_alone > 0 for row in rows
        ),
    }
    for note, count in counts.items():
        if count:
            yield f"{count} {note}."
    if family.left_out:
        yield f"Without {family.reference}, and left out: {', '.join(family.left_out)}."
    if across:
        yield (
            f"Over {', '.join(across.workloads)}, {across.seeds_told}: "
            f"interquartile mean of accuracies scaled to 0 for guessing and 1 for no error."
        )
        if across.left_out:
            yield f"Not run on every workload, and left out: {', '.join(across.left_out)}."
        if across.ranking is None:
            yield "Ranks are compared from five workloads and three methods on."
        else:
            apart = across.ranking.critical_difference
            told = "no two differ" if apart is None else f"critical difference {apart:.2f}"
            yield f"Ranks: Friedman p {across.ranking.p_value:.3g}; {told}."
