"""Methods over all workloads of a study, where every one of them was run on the same seeds."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.across import FEWEST_BLOCKS, MethodsAcross, Ranking, across_workloads, rank_methods
from analysis.arrays import FloatArray
from analysis.scores import chance_accuracies, floors, paired_scores, with_scores
from analysis.stats import probability_of_improvement
from tune_metalr.trial import Role


class Overall(NamedTuple):
    """Methods over workloads; scores are normalised to 0 for guessing and 1 for no error."""

    methods: tuple[str, ...]
    workloads: tuple[str, ...]
    num_seeds: int
    """Common to all methods and workloads."""
    across: MethodsAcross
    improvement: FloatArray
    """Shape (methods,): mean over workloads of P(method > reference) on one seed."""
    ranking: Ranking | None
    """`None` for fewer than five workloads or three methods."""


def overall(trials: pd.DataFrame, reference: str, *, alpha: float = 0.05) -> Overall | None:
    """Return the methods over workloads; `None` if there are no two workloads or common seeds.

    Only seeds that every method has run on every workload are used, and only methods that were
    run on every workload.
    """
    compared = trials[trials["role"] != Role.SEARCH]
    scored = with_scores(compared, floors(trials))
    chance = chance_accuracies(trials)
    tables = {
        str(name): paired_scores(group) for name, group in scored.groupby("workload", sort=False)
    }
    if len(tables) < 2:
        return None
    methods = [m for m in scored["method"].unique() if all(m in t.methods for t in tables.values())]
    complete = {
        name: table.values[[table.methods.index(method) for method in methods]]
        for name, table in tables.items()
    }
    seeds = set.intersection(
        *(
            {seed for seed, column in zip(tables[name].seeds, values.T, strict=True)
             if not np.isnan(column).any()}
            for name, values in complete.items()
        )
    )  # fmt: skip
    if reference not in methods or len(methods) < 2 or len(seeds) < 2:
        return None
    scores = np.stack(
        [
            values[:, [tables[name].seeds.index(seed) for seed in sorted(seeds)]]
            for name, values in complete.items()
        ],
        axis=1,
    )
    lowest = np.array([chance.get(name, 0.0) for name in tables])[None, :, None]
    place = methods.index(reference)
    return Overall(
        methods=tuple(methods),
        workloads=tuple(tables),
        num_seeds=len(seeds),
        across=across_workloads(
            (scores - lowest) / (1 - lowest), np.random.default_rng(0), reference=place
        ),
        improvement=np.array(
            [
                np.mean(
                    [
                        probability_of_improvement(*pair)
                        for pair in zip(rows, scores[place], strict=True)
                    ]
                )
                for rows in scores
            ]
        ),
        ranking=_ranking(scores, alpha),
    )


def _ranking(scores: FloatArray, alpha: float) -> Ranking | None:
    if scores.shape[1] < FEWEST_BLOCKS or scores.shape[0] < 3:
        return None
    return rank_methods(scores.mean(axis=2).T, alpha=alpha)
