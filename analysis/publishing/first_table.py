"""The README's table: untuned methods beside what a number of tuning trials buys."""

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from analysis import written
from analysis.intervals import Interval
from analysis.matching import NEVER, BudgetToMatch
from analysis.publishing.cuts import cut
from analysis.publishing.studied import Studied
from analysis.report.sentences import warnings
from analysis.report.table import markdown_table, markdown_text
from analysis.searches import TunedBaseline
from analysis.summary import MethodSummary
from analysis.tuning_curves import UNITS, TuningCurves
from tune_metalr.trial import MISSING, Role, Status

BUDGETS = (1, 4, 16, 64)
"""Tuning trials after which the search has a row, and after as many as it can tell of."""

_MACHINE = ("python_version", "torch_version", "ray_version", "optuna_version", "cpu_model")


class Shown(NamedTuple):
    """What the table shows of a study."""

    methods: tuple[str, ...]
    """Untuned ones, in this order; costs are told in runs of the last."""
    search: str
    """Label of the tuned baseline."""


def first_table(study: Studied, shown: Shown) -> str:
    """Return the table in Markdown, and below it what its numbers rest on."""
    workloads = list(dict.fromkeys(row.workload for row in study.numbers.summaries))
    cuts = [f"{markdown_text(name)}, %<br>{cut(study.data.trials, name)}" for name in workloads]
    rows = [*_untuned(study, workloads, shown), *_tuned(study, workloads, shown)]
    is_text = [True, False, *(True for _ in workloads), False]
    table = markdown_table(["method", "tuning trials", *cuts, "cost"], rows, is_text=is_text)
    return "\n\n".join([table, *_basis(study, shown)])


def _untuned(study: Studied, workloads: Sequence[str], shown: Shown) -> Iterator[tuple[str, ...]]:
    rows = _baselines(study)
    usual = _usual_runs(study, shown)
    for method in shown.methods:
        scores = (
            _score(study, rows.get((name, method)), shown.search, usual) for name in workloads
        )
        gradients = [_gradients(rows.get((name, method))) for name in workloads]
        yield (f"`{method}`", "0", *scores, _cost(gradients, _unit(study, workloads, shown)))


def _baselines(study: Studied) -> dict[tuple[str, str], MethodSummary]:
    untuned = (row for row in study.numbers.summaries if row.role == Role.BASELINE)
    return {(row.workload, row.method): row for row in untuned}


def _unit(study: Studied, workloads: Sequence[str], shown: Shown) -> list[float | None]:
    """Return what a run of the last method costs on each workload."""
    rows = _baselines(study)
    return [_gradients(rows.get((workload, shown.methods[-1]))) for workload in workloads]


def _gradients(row: MethodSummary | None) -> float | None:
    return row.gradient_evaluations if row else None


def _cost(gradients: Sequence[float | None], unit: Sequence[float | None]) -> str:
    """Return the mean cost over the workloads on which both are known."""
    pairs = zip(gradients, unit, strict=True)
    known = [own / run for own, run in pairs if own is not None and run]
    return f"{np.mean(known):.3g}" if known else "-"


def _usual_runs(study: Studied, shown: Shown) -> int:
    """Return how many runs most cells rest on: only others are told."""
    rows = _baselines(study).values()
    runs = [row.wanted for row in rows if row.method in shown.methods]
    return statistics.mode(runs) if runs else 0


def _score(study: Studied, row: MethodSummary | None, search: str, usual_runs: int) -> str:
    """Return a method's accuracy, and how much tuning matches it."""
    if row is None or row.score is None:
        return "not run yet"
    ran = row.wanted - row.counts[MISSING]
    notes = [f"{ran} of {row.wanted} runs"] * (ran < row.wanted)
    notes += [f"{ran} runs"] * (ran == row.wanted != usual_runs)
    if failed := ran - row.counts[Status.COMPLETED]:
        notes.append(f"{failed} without a score")
    lines = [", ".join([written.percent(row.score), *notes])]
    lines += [
        _matched(each.trials)
        for each in study.numbers.answers.rows
        if (each.baseline.workload, each.method) == (row.workload, row.method)
        and each.baseline.label == search
    ]
    return "<br>".join(lines)


def _matched(match: BudgetToMatch) -> str:
    ends = written.ends(match)
    if match.budget == NEVER:
        return f"not matched within {written.compact(match.within)} trials{ends}"
    return f"matched after {written.compact(match.budget)}{ends}"


def _tuned(study: Studied, workloads: Sequence[str], shown: Shown) -> Iterator[tuple[str, ...]]:
    curves = {each.workload: each for each in study.numbers.curves if each.label == shown.search}
    searches = {each.workload: each for each in _searches(study, shown)}
    longest = {int(each.curves[UNITS[0]].budgets[-1]) for each in curves.values()}
    last = max(longest, default=0)
    for budget in sorted({each for each in BUDGETS if each < last} | longest):
        scores = (written.percent(_after(curves.get(name), budget)) for name in workloads)
        costs = [_cost_of(searches.get(name), budget) for name in workloads]
        cost = _cost(costs, _unit(study, workloads, shown))
        yield (f"{shown.search} search", str(budget), *scores, cost)


def _searches(study: Studied, shown: Shown) -> list[TunedBaseline]:
    """Return the search on each workload on which any trial of it has ended."""
    named = (each for each in study.numbers.baselines if each.label == shown.search)
    return [each for each in named if each.num_trials]


def _cost_of(search: TunedBaseline | None, budget: int) -> float | None:
    """Return the gradients of so many trials of a search, in the mean."""
    if search is None or search.gradient_evaluations is None:
        return None
    return budget * float(np.mean(search.gradient_evaluations))


def _after(curves: TuningCurves | None, budget: int) -> Interval | None:
    """Return what a search has after so many trials, `None` beyond what it can tell of."""
    if curves is None:
        return None
    curve = curves.curves[UNITS[0]]
    places = np.flatnonzero(curve.budgets == budget)
    if not len(places):
        return None
    score, low, high = (float(of[places[0]]) for of in (curve.score, curve.low, curve.high))
    return Interval(score, max(0.0, low), min(1.0, high))


def _basis(study: Studied, shown: Shown) -> Iterator[str]:
    """Yield how to read the table, and what its trials are."""
    numbers = study.numbers
    yield (
        f"Mean test accuracy, {_usual_runs(study, shown)} runs each if no other number stands "
        f"there; a run without a score counts as guessing, or as the worst run. "
        f"{written.INTERVALS} Cost: gradients, in runs of `{shown.methods[-1]}`; "
        f"{_probes(study, shown)}"
    )
    if searches := _searches(study, shown):
        proposals = sorted({each.num_trials for each in searches})
        yield (
            f"*Matched after n trials*: the configuration that `{shown.search}` selects among n "
            f"has, in the mean, the method's accuracy or more. *Not matched within n*: nor with n, "
            f"the most that {' or '.join(map(str, proposals))} trials can tell of. What the search "
            f"reaches is a mean over all subsets of its trials, with a band for the whole curve."
        )
    yield " ".join(warnings(*study))
    machine = (each for each in numbers.versions if each.name in _MACHINE)
    told = (f"{_name(each.name)} {_values(each.values)}" for each in machine)
    threads = next(each for each in numbers.versions if each.name == "threads")
    yield f"Run with {', '.join(told)}; threads of a trial: {_values(threads.values)}."


def _probes(study: Studied, shown: Shown) -> str:
    """Return what else a run of the first method computes."""
    rows = study.data.trials[study.data.trials["method"] == shown.methods[0]]
    probes = rows["forward_evaluations"].dropna()
    count = float(probes.mean()) if len(probes) else 0.0
    return f"a run of `{shown.methods[0]}` adds {count:.0f} forward passes."


def _name(column: str) -> str:
    return {"cpu_model": "processor"}.get(column, column.removesuffix("_version").capitalize())


def _values(values: Sequence[tuple[str, int]]) -> str:
    return " and ".join(value for value, _ in values)
