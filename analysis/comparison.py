"""Every method against the reference, seed by seed, with what can be said of the difference."""

import math
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from analysis.choices import AnalysisChoices
from analysis.effects import cliffs_delta, probability_of_improvement
from analysis.intervals import Interval, mean_interval
from analysis.scores import SCORE_COLUMNS, floors, paired_scores, with_scores
from analysis.stats import (
    equivalence_p_value,
    holm,
    non_inferiority_p_value,
    seeds_needed,
    sign_flip_p_value,
    wilcoxon_p_value,
)
from tune_metalr.errors import UserError, nearest
from tune_metalr.trial import Role, Status

COLUMNS = SCORE_COLUMNS
"""Columns of the ledger that a comparison needs."""


class Verdict(StrEnum):
    """What may be said of a method against the reference."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "as good, both ways"
    """The difference is smaller than the margin, in either direction."""
    NON_INFERIOR = "as good or better"
    """Worse by less than the margin, if at all."""
    UNDECIDED = "undecided"
    UNPAIRED = "no common seed"
    WITHOUT_SCORE = "neither has a score"


class Comparison(NamedTuple):
    """One method against the reference on one workload."""

    workload: str
    method: str
    reference: str
    num_pairs: int
    """Seeds that both have run, and on which at least one of them has a score."""
    num_without_score: int = 0
    """Seeds that both have run, and on which neither has a score: they say nothing of the
    difference, and must not make it small."""
    num_missing: int = 0
    """Seeds that both are to run, and one of them has not."""
    num_alone: int = 0
    """Seeds that only one of them is to run."""
    reference_score: float | None = None
    score: float | None = None
    difference: Interval | None = None
    """Mean of method - reference over pairs."""
    sign_flip_p: float = math.nan
    """Two-sided, unadjusted; NaN, as for all tests, without pairs."""
    wilcoxon_p: float = math.nan
    holm_p: float = math.nan
    """Of the sign-flip test, over the family."""
    non_inferiority_p: float = math.nan
    """One-sided, over the family by Holm."""
    equivalence_p: float = math.nan
    """Two one-sided tests, over the family by Holm."""
    probability_of_improvement: float | None = None
    cliffs_delta: float | None = None
    verdict: Verdict = Verdict.UNPAIRED


class Family(NamedTuple):
    """All comparisons of a study."""

    reference: str
    comparisons: list[Comparison]
    seeds_needed: int
    """Pairs with which the largest family's first test can reach alpha at all."""
    runs_without_score: int
    """Runs that count as the floor."""
    left_out: list[str]
    """Workloads on which the reference has no trial."""


def compare_methods(trials: pd.DataFrame, choices: AnalysisChoices) -> Family:
    """Compare each untuned method of `load_trials` with the reference.

    A run without a score counts as the workload's floor, so that diverging never helps. Finals of
    searches are left out: what tuning is worth is told by `catching_up`.

    Raises:
        UserError: The reference is no method of the study, or there is no other one.
    """
    compared = trials[trials["role"] == Role.BASELINE]
    reference = _reference(compared, choices)
    scored = with_scores(compared, floors(trials))
    found = [
        comparison
        for workload, group in scored.groupby("workload", sort=False)
        for comparison in _workload_comparisons(
            str(workload), group, reference, choices.margin_on(str(workload))
        )
    ]
    if not found:
        raise UserError(f"'{reference}' has no rival: there is nothing to compare it with")
    families = _families(found, choices)
    compared_workloads = {comparison.workload for comparison in found}
    return Family(
        reference=reference,
        comparisons=_all_judged(families, choices),
        seeds_needed=seeds_needed(max(map(len, families)), choices.alpha),
        runs_without_score=int(_without_score(compared).sum()),
        left_out=[w for w in compared["workload"].unique() if w not in compared_workloads],
    )


def compare_with_each(
    trials: pd.DataFrame, method: str, choices: AnalysisChoices
) -> list[Comparison]:
    """Compare one untuned method with every other one, each of which is the reference once.

    Verdicts are about the method: that it is as good as a rival, or better, can be one of them.

    Args:
        trials: Of `load_trials`.
        method: As the study calls it.
        choices: Of the study; its reference does not matter.
    """
    compared = trials[trials["role"] == Role.BASELINE]
    scored = with_scores(compared, floors(trials))
    found = [
        comparison
        for workload, group in scored.groupby("workload", sort=False)
        for rival in group["method"].unique()
        if rival != method
        for comparison in _workload_comparisons(
            str(workload),
            group[group["method"].isin([method, rival])],
            str(rival),
            choices.margin_on(str(workload)),
        )
    ]
    return _all_judged(_families(found, choices), choices)


def _without_score(trials: pd.DataFrame) -> pd.Series:
    """Return which trials were run and have no score."""
    return trials["status"].notna() & (trials["status"] != Status.COMPLETED)


def _reference(trials: pd.DataFrame, choices: AnalysisChoices) -> str:
    methods = list(trials["method"].unique())
    if not methods:
        raise UserError("the study has no methods to compare, only searches")
    if choices.reference is None:
        return str(methods[0])
    if choices.reference not in methods:
        raise UserError(
            f"unknown method '{choices.reference}'{nearest(choices.reference, methods)}"
        )
    return choices.reference


def _workload_comparisons(
    workload: str, group: pd.DataFrame, reference: str, margin: float
) -> list[Comparison]:
    scores = paired_scores(group)
    if reference not in scores.methods:
        return []
    without = group[_without_score(group)]
    unscored = set(zip(without["method"], without["seed"].astype(int), strict=True))
    planned = {method: set(rows["seed"].astype(int)) for method, rows in group.groupby("method")}
    base = scores.values[scores.methods.index(reference)]
    comparisons = []
    for method, values in zip(scores.methods, scores.values, strict=True):
        if method == reference:
            continue
        run = ~np.isnan(base) & ~np.isnan(values)
        neither = np.array([{(method, s), (reference, s)} <= unscored for s in scores.seeds])
        pairs = run & ~neither
        common = len(planned[method] & planned[reference])
        comparison = _comparison(workload, method, reference, values[pairs], base[pairs], margin)
        comparisons.append(
            comparison._replace(
                num_without_score=int((run & neither).sum()),
                num_missing=common - int(run.sum()),
                num_alone=len(planned[method] ^ planned[reference]),
                verdict=_verdict_without_pairs(comparison, int(run.sum())),
            )
        )
    return comparisons


def _verdict_without_pairs(comparison: Comparison, num_run: int) -> Verdict:
    if comparison.num_pairs or not num_run:
        return comparison.verdict
    return Verdict.WITHOUT_SCORE


def _comparison(
    workload: str,
    method: str,
    reference: str,
    values: FloatArray,
    base: FloatArray,
    margin: float,
) -> Comparison:
    """Compare paired scores; p-values are not yet adjusted."""
    nothing = Comparison(workload, method, reference, len(values))
    if not len(values):
        return nothing
    rng = np.random.default_rng(0)
    differences = values - base
    return nothing._replace(
        reference_score=float(base.mean()),
        score=float(values.mean()),
        difference=mean_interval(differences, rng),
        sign_flip_p=sign_flip_p_value(differences, rng=rng),
        wilcoxon_p=wilcoxon_p_value(differences, rng=rng),
        non_inferiority_p=non_inferiority_p_value(differences, margin, rng),
        equivalence_p=equivalence_p_value(differences, margin, rng),
        probability_of_improvement=probability_of_improvement(values, base),
        cliffs_delta=cliffs_delta(values, base),
        verdict=Verdict.UNDECIDED,
    )


def _families(comparisons: list[Comparison], choices: AnalysisChoices) -> list[list[Comparison]]:
    families: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        name = comparison.workload if choices.family == "workload" else "study"
        families.setdefault(name, []).append(comparison)
    return list(families.values())


def _all_judged(families: list[list[Comparison]], choices: AnalysisChoices) -> list[Comparison]:
    return [_judged(comparison, choices) for family in families for comparison in _adjusted(family)]


def _adjusted(family: list[Comparison]) -> list[Comparison]:
    """Return the comparisons of one family with Holm's adjustment of each kind of test."""
    difference = holm([each.sign_flip_p for each in family])
    inferiority = holm([each.non_inferiority_p for each in family])
    equivalence = holm([each.equivalence_p for each in family])
    return [
        each._replace(holm_p=float(d), non_inferiority_p=float(i), equivalence_p=float(e))
        for each, d, i, e in zip(family, difference, inferiority, equivalence, strict=True)
    ]


def _judged(comparison: Comparison, choices: AnalysisChoices) -> Comparison:
    """Return the comparison with its verdict; a significant difference comes first."""
    if comparison.difference is None:
        return comparison
    alpha = choices.alpha
    # With few seeds and one far out, test and interval can disagree: then nothing is claimed.
    leaves_out_zero = not comparison.difference.low <= 0 <= comparison.difference.high
    if comparison.holm_p <= alpha and leaves_out_zero:
        better = comparison.difference.estimate > 0
        return comparison._replace(verdict=Verdict.BETTER if better else Verdict.WORSE)
    if comparison.equivalence_p <= alpha:
        return comparison._replace(verdict=Verdict.EQUIVALENT)
    if comparison.non_inferiority_p <= alpha:
        return comparison._replace(verdict=Verdict.NON_INFERIOR)
    return comparison
