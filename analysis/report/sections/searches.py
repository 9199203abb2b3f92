"""Search algorithms: what each has found so far, live and replayed."""

from collections.abc import Iterator, Sequence

from analysis.replayed import ReplayedCurve
from analysis.report import table
from analysis.report.lines import LineFigure, Panel, Series, line, with_lines
from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.study_data import StudyData
from analysis.report.table import Column, Row, Table
from analysis.samplers import BestSoFar, Found, Pair, SamplerRanks
from tune_metalr.evidence import FEWEST_REPEATS

_FOUND = (
    Column("workload", is_text=True),
    Column("search", is_text=True),
    Column("repeats", ("repeats",)),
    Column("trials each", ("trials",)),
    Column("test accuracy, %", table.with_ends("test_accuracy")),
    Column("rank", ("rank",)),
)
_PAIRS = (
    Column("workload", is_text=True),
    Column("first", is_text=True),
    Column("second", is_text=True),
    Column("difference, points", ("difference",)),
    Column("P(first better)", ("probability_first_better",)),
    Column("p, rank sum", ("rank_sum_p",)),
    Column("p (Holm)", ("holm_p",)),
)


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return the best so far of every sampler, their ranks and their pairs."""
    title = "Search algorithms"
    figures = (*live_figures(numbers.best_so_far), *replayed_figures(data.replayed))
    if not figures:
        return Section("searches", title, ("No search has a result yet.",))
    tables = []
    if numbers.found:
        rows = tuple(_found(each) for each in numbers.found)
        tables.append(Table("samplers", "Samplers at the same number of trials", _FOUND, rows))
    if numbers.pairs:
        rows = tuple(_pair(each) for each in numbers.pairs)
        tables.append(Table("sampler-pairs", "Every two samplers on one space", _PAIRS, rows))
    return Section(
        "searches",
        title,
        figures=figures,
        tables=tuple(tables),
        notes=tuple(_notes(data, numbers)),
    )


def live_figures(curves: Sequence[BestSoFar]) -> Iterator[LineFigure]:
    """Yield a figure for each workload: the best model so far over trials and gradients."""
    for workload in dict.fromkeys(each.workload for each in curves):
        here = [each for each in curves if each.workload == workload]
        by_trials = [line(e.label, e.trials, e.mean, low=e.low, high=e.high) for e in here]
        by_cost = [
            line(e.label, e.gradient_evaluations, e.mean, low=e.low, high=e.high)
            for e in here
            if e.gradient_evaluations is not None
        ]
        yield _figure(f"searches-{workload}", f"{workload}: best so far, live", by_trials, by_cost)


def replayed_figures(curves: Sequence[ReplayedCurve]) -> Iterator[LineFigure]:
    """Yield a figure for each workload on whose recorded trials searches were replayed."""
    for workload in dict.fromkeys(each.workload for each in curves):
        here = [each for each in curves if each.workload == workload]
        by_trials = [line(e.label, e.trials, e.mean, low=e.low, high=e.high) for e in here]
        by_cost = [
            line(e.label, e.gradient_evaluations, e.mean, low=e.low, high=e.high) for e in here
        ]
        name, title = f"replayed-{workload}", f"{workload}: best so far, replayed"
        yield _figure(name, title, by_trials, by_cost)


def _figure(name: str, title: str, *lines: list[Series]) -> LineFigure:
    labels = ("trials", "gradient evaluations")
    panels = (
        Panel(f"over {label}", label, "test accuracy, %", tuple(series), is_log_x=True,
              is_percent=True)
        for label, series in zip(labels, lines, strict=True)
    )  # fmt: skip
    return LineFigure(name, title, with_lines(panels))


def _found(each: Found) -> Row:
    cells = (
        table.text(each.workload),
        table.text(each.label),
        table.number(each.num_repeats),
        table.number(each.num_trials),
        table.share(each.mean),
        table.number(each.rank, f"{each.rank:g}"),
    )
    return Row(cells, each.label)


def _pair(each: Pair) -> Row:
    better = each.probability_first_better
    cells = (
        table.text(each.workload),
        table.text(each.first),
        table.text(each.second),
        table.number(each.difference, f"{100 * each.difference:+.2f}"),
        table.number(better, f"{better:.2f}"),
        table.p_value(each.rank_sum_p),
        table.p_value(each.holm_p),
    )
    return Row(cells, each.first)


def _ranks(found: SamplerRanks) -> str:
    ranking = found.ranking
    pairs = zip(found.samplers, ranking.mean_ranks, strict=True)
    ranks = ", ".join(f"{sampler} {rank:.2f}" for sampler, rank in pairs)
    apart = ranking.critical_difference
    told = "no two differ" if apart is None else f"critical difference {apart:.2f}"
    return (
        f"Mean ranks over {found.num_blocks} workloads and spaces: {ranks}. Friedman p "
        f"{ranking.p_value:.3g}; {told}."
    )


def _notes(data: StudyData, numbers: Numbers) -> Iterator[str]:
    yield (
        "Test accuracy of the model that validation selects from the trials so far, mean over "
        "whole searches; every trial is charged. Bands hold the whole curve with 95 % over ten "
        "repeats or more; of fewer, they are the range."
    )
    if numbers.pairs:
        yield (
            "Ranks and tests are of whole searches at the number of trials that all samplers of a "
            "space have; two-sided rank-sum tests, Holm over all pairs."
        )
    if numbers.sampler_ranks:
        yield _ranks(numbers.sampler_ranks)
    few = [each for each in numbers.found if each.num_repeats < FEWEST_REPEATS]
    if few:
        labels = ", ".join(dict.fromkeys(each.label for each in few))
        yield f"Fewer than {FEWEST_REPEATS} repeats, too few for a claim: {labels}."
    if data.replayed:
        repeats = min(each.num_repeats for each in data.replayed)
        yield (
            f"Replayed: at least {repeats} searches a sampler on recorded trials; bands are 95 % "
            f"intervals of the simulation, and another table would differ by more."
        )
    else:
        yield (
            "Replayed searches are shown too once 'tune-metalr replay RESULTS --csv "
            "RESULTS/replay.csv' has been run."
        )
