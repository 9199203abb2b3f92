"""Methods over all workloads of a study, where every one of them was run on the same seeds."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.across import FEWEST_BLOCKS, MethodsAcross, Ranking, across_workloads, rank_methods
from analysis.arrays import FloatArray
from analysis.effects import probability_of_improvement
from analysis.scores import Scores, chance_accuracies, floors, paired_scores, with_scores
from tune_metalr.trial import Role


class Overall(NamedTuple):
    """Methods over workloads; scores are normalised to 0 for guessing and 1 for no error."""

    methods: tuple[str, ...]
    workloads: tuple[str, ...]
    left_out: list[str]
    """Methods that were not run on every workload."""
    num_seeds: int
    """Common to all methods and workloads."""
    most_seeds: int
    """That any method has run on any workload."""
    across: MethodsAcross
    improvement: FloatArray
    """Shape (methods,): mean over workloads of P(method > reference) on one seed."""
    ranking: Ranking | None
    """`None` for fewer than five workloads or three methods."""

    @property
    def seeds_told(self) -> str:
        """On how many seeds all of it rests, and whether some methods have more."""
        more = f" of up to {self.most_seeds}" if self.most_seeds > self.num_seeds else ""
        return f"{self.num_seeds} seeds common to all{more}"


def overall(trials: pd.DataFrame, reference: str, *, alpha: float = 0.05) -> Overall | None:
    """Return the methods over workloads; `None` if there are no two workloads or common seeds.

    Only seeds that every method has run on every workload are used, and only methods that were
    run on every workload.
    """
    compared = trials[trials["role"] == Role.BASELINE]
    scored = with_scores(compared, floors(trials))
    tables = {
        str(name): paired_scores(group) for name, group in scored.groupby("workload", sort=False)
    }
    names = list(scored["method"].unique())
    methods = [name for name in names if all(name in t.methods for t in tables.values())]
    seeds = _common_seeds(list(tables.values()), methods)
    if min(len(tables), len(methods), len(seeds)) < 2 or reference not in methods:
        return None
    scores = np.stack([_of(table, methods, seeds) for table in tables.values()], axis=1)
    chance = chance_accuracies(trials)
    lowest = np.array([chance.get(name, 0.0) for name in tables])[None, :, None]
    place = methods.index(reference)
    return Overall(
        methods=tuple(methods),
        workloads=tuple(tables),
        left_out=[name for name in names if name not in methods],
        num_seeds=len(seeds),
        most_seeds=max(int((~np.isnan(t.values)).sum(axis=1).max()) for t in tables.values()),
        across=across_workloads(
            (scores - lowest) / (1 - lowest), np.random.default_rng(0), reference=place
        ),
        improvement=np.array([_improvement(rows, scores[place]) for rows in scores]),
        ranking=_ranking(scores, alpha),
    )


def _common_seeds(tables: list[Scores], methods: list[str]) -> list[int]:
    """Return the seeds that all methods have run on all workloads."""
    complete = []
    for table in tables:
        values = table.values[[table.methods.index(method) for method in methods]]
        run = np.flatnonzero(~np.isnan(values).any(axis=0))
        complete.append({table.seeds[place] for place in run})
    return sorted(set.intersection(*complete)) if complete else []


def _of(table: Scores, methods: list[str], seeds: list[int]) -> FloatArray:
    """Return the scores of these methods and seeds, shape (methods, seeds)."""
    rows = [table.methods.index(method) for method in methods]
    columns = [table.seeds.index(seed) for seed in seeds]
    return table.values[np.ix_(rows, columns)]


def _improvement(scores: FloatArray, base: FloatArray) -> float:
    """Return the mean over workloads of P(score > base), shapes (workloads, seeds)."""
    pairs = zip(scores, base, strict=True)
    return float(np.mean([probability_of_improvement(*pair) for pair in pairs]))


def _ranking(scores: FloatArray, alpha: float) -> Ranking | None:
    if scores.shape[1] < FEWEST_BLOCKS or scores.shape[0] < 3:
        return None
    return rank_methods(scores.mean(axis=2).T, alpha=alpha)
