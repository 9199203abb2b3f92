"""Search algorithms on one space: what each has found within its budget, and who is ahead."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.across import FEWEST_BLOCKS, Ranking, rank_methods
from analysis.arrays import FloatArray
from analysis.best_of_n import incumbents
from analysis.budgets import mean_of_repeats
from analysis.effects import probability_of_improvement
from analysis.intervals import Interval, mean_interval
from analysis.searches import TunedBaseline
from analysis.stats import holm
from analysis.tuning_curves import banded
from tune_metalr.evidence import FEWEST_REPEATS

_FEWEST_TO_RANK = 3

FEWEST_TO_TEST = 2
"""Whole searches of either sampler from which on a test is made."""


class BestSoFar(NamedTuple):
    """What one sampler has found after each trial on one workload and space, mean of repeats."""

    workload: str
    label: str
    num_repeats: int
    trials: FloatArray
    """Shape (n,): 1 ... n."""
    gradient_evaluations: FloatArray | None
    """Shape (n,): mean over repeats of what all trials so far cost; `None` if it is not known."""
    mean: FloatArray
    """Shape (n,): test accuracy of the model selected so far."""
    low: FloatArray
    """Shape (n,), as `high`: 95 % band of the curve, or the range over fewer than ten repeats."""
    high: FloatArray


class Found(NamedTuple):
    """What one sampler found on one workload and space, at a number of trials common to all."""

    workload: str
    search: str
    label: str
    num_repeats: int
    """Whole searches; independent draws are cut into as many as they make."""
    num_trials: int
    """Of each search that are looked at: as many as the shortest search of the space has."""
    scores: FloatArray
    """Shape (repeats,): test accuracy of the model selected by then."""
    mean: Interval
    rank: float
    """Of the mean, 1 is the highest; ties share theirs."""


class SamplerRanks(NamedTuple):
    """Samplers over several workloads and spaces."""

    samplers: tuple[str, ...]
    num_blocks: int
    ranking: Ranking


class Pair(NamedTuple):
    """Two samplers on one workload and space."""

    workload: str
    search: str
    first: str
    second: str
    difference: float
    """Mean score of the first minus that of the second."""
    probability_first_better: float
    """Over all pairs of searches; ties count half."""
    rank_sum_p: float
    """Two-sided; NaN if either has fewer than two repeats."""
    holm_p: float
    """Over all pairs of the study."""


def best_so_far(baselines: Sequence[TunedBaseline]) -> list[BestSoFar]:
    """Return the curve of every sampler that has any result, over whole searches.

    Args:
        baselines: Of `tuned_baselines`.
    """
    return [_best_so_far(baseline) for baseline in baselines if baseline.num_trials]


def found_by_samplers(baselines: Sequence[TunedBaseline]) -> list[Found]:
    """Return what each sampler found, on spaces that several samplers searched.

    Args:
        baselines: Of `tuned_baselines`; those without a result are left out.
    """
    groups: dict[tuple[str, str], list[TunedBaseline]] = {}
    for baseline in baselines:
        if baseline.num_trials:
            groups.setdefault((baseline.workload, baseline.search), []).append(baseline)
    return [row for group in groups.values() if len(group) > 1 for row in _ranked(group)]


def pairs_of_samplers(found: Sequence[Found]) -> list[Pair]:
    """Return every two samplers on the same space, tested by ranks of whole searches."""
    rows = [
        _pair(first, second)
        for first, second in combinations(found, 2)
        if (first.workload, first.search) == (second.workload, second.search)
    ]
    adjusted = holm([row.rank_sum_p for row in rows])
    return [row._replace(holm_p=float(p)) for row, p in zip(rows, adjusted, strict=True)]


def ranks_over_spaces(found: Sequence[Found], *, alpha: float = 0.05) -> SamplerRanks | None:
    """Return mean ranks over all workloads and spaces that the same samplers searched.

    `None` for fewer than five of them, or fewer than three samplers.
    """
    blocks: dict[tuple[str, str], dict[str, float]] = {}
    for row in found:
        sampler = row.label.removeprefix(row.search).strip()
        blocks.setdefault((row.workload, row.search), {})[sampler] = row.mean.estimate
    samplers = tuple(sorted(set.intersection(*map(set, blocks.values())))) if blocks else ()
    if len(blocks) < FEWEST_BLOCKS or len(samplers) < _FEWEST_TO_RANK:
        return None
    table = [[scores[sampler] for sampler in samplers] for scores in blocks.values()]
    return SamplerRanks(samplers, len(blocks), rank_methods(table, alpha=alpha))


def whole_searches(baseline: TunedBaseline) -> tuple[FloatArray, FloatArray]:
    """Return selection and deployed score by repeat, shape (repeats, n).

    Independent draws are stored in one row: they are cut back into searches of the shortest
    repeat's length.
    """
    return _by_repeat(baseline, baseline.selection), _by_repeat(baseline, baseline.deployed)


def _by_repeat(baseline: TunedBaseline, values: FloatArray) -> FloatArray:
    if not baseline.is_independent:
        return values
    lengths = [length for length in baseline.lengths if length]
    starts = np.cumsum([0, *lengths[:-1]])
    places = np.array([np.arange(start, start + min(lengths)) for start in starts])
    searches: FloatArray = values[0][places]
    return searches


def _best_so_far(baseline: TunedBaseline) -> BestSoFar:
    selection, score = whole_searches(baseline)
    best = np.take_along_axis(score, incumbents(selection), axis=1)
    repeats, length = best.shape
    budgets = np.arange(1, length + 1, dtype=np.float64)
    curve = banded(mean_of_repeats(budgets, best), is_range=repeats < FEWEST_REPEATS)
    gradients = baseline.gradient_evaluations
    spent = None if gradients is None else _by_repeat(baseline, gradients).cumsum(axis=1).mean(0)
    return BestSoFar(baseline.workload, baseline.label, repeats, budgets, spent, *curve[1:])


def _ranked(group: list[TunedBaseline]) -> list[Found]:
    shortest = min(length for baseline in group for length in baseline.lengths if length)
    scores = [_selected(baseline, shortest) for baseline in group]
    ranks = stats.rankdata([-float(values.mean()) for values in scores])
    return [
        Found(
            workload=baseline.workload,
            search=baseline.search,
            label=baseline.label,
            num_repeats=len(values),
            num_trials=shortest,
            scores=values,
            mean=mean_interval(values, np.random.default_rng(0)),
            rank=float(rank),
        )
        for baseline, values, rank in zip(group, scores, ranks, strict=True)
    ]


def _selected(baseline: TunedBaseline, budget: int) -> FloatArray:
    """Return what each search of `budget` trials has selected at its end.

    Any `budget` independent draws are a search: a long one is cut into several.
    """
    if baseline.is_independent:
        whole = baseline.num_trials // budget
        selection, score = (
            values[0][: whole * budget].reshape(whole, budget)
            for values in (baseline.selection, baseline.deployed)
        )
    else:
        selection, score = baseline.selection, baseline.deployed
    places = incumbents(selection[:, :budget])[:, -1:]
    chosen: FloatArray = np.take_along_axis(score, places, axis=1)[:, 0]
    return chosen


def _pair(first: Found, second: Found) -> Pair:
    left, right = np.meshgrid(first.scores, second.scores)
    return Pair(
        workload=first.workload,
        search=first.search,
        first=first.label,
        second=second.label,
        difference=float(first.scores.mean() - second.scores.mean()),
        probability_first_better=probability_of_improvement(left.ravel(), right.ravel()),
        rank_sum_p=rank_sum_p_value(first.scores, second.scores),
        holm_p=math.nan,
    )


def rank_sum_p_value(first: FloatArray, second: FloatArray) -> float:
    """Return the two-sided p-value of the Mann-Whitney test of independent samples.

    Exact without ties for small samples, else normal with the correction for ties; NaN if either
    sample has fewer than `FEWEST_TO_TEST` values.
    """
    if min(len(first), len(second)) < FEWEST_TO_TEST:
        return math.nan
    if np.ptp(np.concatenate([first, second])) == 0:
        return 1.0
    return float(stats.mannwhitneyu(first, second, alternative="two-sided").pvalue)
