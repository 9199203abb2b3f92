"""How much tuning each baseline needs to catch up with each method that is not tuned."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from analysis.best_of_n import expected_selected
from analysis.budgets import (
    TRIALS_PER_BUDGET,
    Curve,
    constant_curve,
    independent_curve,
    repeated_curve,
)
from analysis.costs import independent_cost_curve, repeated_cost_curve
from analysis.intervals import Interval
from analysis.matching import (
    BudgetToMatch,
    budget_to_match,
    lead_at,
    range_of_leads,
    range_to_match,
)
from analysis.scores import floors, with_scores
from analysis.searches import COLUMNS, TunedBaseline, selection_of, tuned_baselines
from tune_metalr.evidence import FEWEST_REPEATS
from tune_metalr.trial import Role, Status

__all__ = ["COLUMNS", "LEADS_AT", "CatchingUp", "catching_up"]

LEADS_AT = (1, 4, 16, 64)
"""Numbers of tuning trials after which the lead of the untuned method is told."""

_FEWEST_TRIALS = 2 * TRIALS_PER_BUDGET


class CatchingUp(NamedTuple):
    """One tuned baseline against one untuned method on one workload."""

    method: str
    """The untuned one."""
    baseline: TunedBaseline
    num_seeds: int
    """Runs of the untuned method."""
    is_range: bool
    """Whether ends are the extremes over too few repeats of an adaptive search: no interval."""
    trials: BudgetToMatch
    """The headline: until the selected configuration, on fresh seeds, reaches the method's mean."""
    rerun_share: float
    """Probability that what the budget to match selects was run again on fresh seeds; what the
    longest budget selects, if none matches. Without it a trial counts by its own run, whose luck
    selection favours: the budget comes out too small."""
    gradient_evaluations: BudgetToMatch | None
    """`None`, as for all costs, if no trial's cost is known."""
    device_seconds: BudgetToMatch | None
    cost_ratio: BudgetToMatch | None
    """Gradient evaluations to match over those of one completed run of the untuned method."""
    deployed: BudgetToMatch | None
    """Trials until the model that was found reaches the best of as many restarts of the untuned
    method; `None` if that has too few seeds, or trials are no whole runs."""
    leads: dict[int, Interval | None]
    """Test accuracy by which the untuned method leads after so many trials; `None` beyond the
    curve."""


class _Untuned(NamedTuple):
    scores: FloatArray
    """Shape (seeds,)."""
    selection: FloatArray
    gradient_evaluations: float | None


class _Tuned(NamedTuple):
    """A baseline with its curves, which every untuned method is held against."""

    baseline: TunedBaseline
    configuration: Curve
    deployed: Curve
    gradient_evaluations: Curve | None
    device_seconds: Curve | None


class Answers(NamedTuple):
    """Everything that can be told, and why the rest cannot."""

    rows: list[CatchingUp]
    left_out: list[str]
    """One sentence for each tuned baseline without a row."""


def catching_up(
    trials: pd.DataFrame,
    searches: pd.DataFrame,
    baselines: Sequence[TunedBaseline] | None = None,
) -> Answers:
    """Return every pair of untuned method and tuned baseline, by workload.

    Args:
        trials: Of `load_trials`.
        searches: Of `load_searches`.
        baselines: Of `tuned_baselines`, where they are known already.

    Raises:
        UserError: A search has two proposals of one index.
    """
    floor = floors(trials, searches)
    scored = with_scores(trials, floor)
    untuned = scored[(scored["role"] == Role.BASELINE) & scored["score"].notna()]
    if baselines is None:
        baselines = tuned_baselines(searches, trials, floor)
    reasons = [_left_out(baseline, set(untuned["workload"])) for baseline in baselines]
    tuned = [
        _tuned(baseline, floor[baseline.workload])
        for baseline, reason in zip(baselines, reasons, strict=True)
        if reason is None
    ]
    rows = [
        _pair(str(method), _untuned(group), each)
        for (workload, method), group in untuned.groupby(["workload", "method"], sort=False)
        for each in tuned
        if each.baseline.workload == workload
    ]
    return Answers(rows, [reason for reason in reasons if reason])


def trial_curve(baseline: TunedBaseline, score: FloatArray) -> Curve:
    """Return the expected score of what a baseline has selected after n trials.

    Args:
        baseline: Of `tuned_baselines`.
        score: What is read: its `configuration`, the headline, or its `deployed` models.
    """
    if baseline.is_independent:
        return independent_curve(baseline.selection[0], score[0])
    return repeated_curve(baseline.selection, score)


def cost_curve(baseline: TunedBaseline, cost: FloatArray, floor: float) -> Curve:
    """Return the expected score of the configuration selected within a cost.

    Args:
        baseline: Of `tuned_baselines`.
        cost: Its `gradient_evaluations` or `device_seconds`.
        floor: Score before any trial has ended.
    """
    selection, score = baseline.selection, baseline.configuration
    if baseline.is_independent:
        rng = np.random.default_rng(0)
        return independent_cost_curve(selection[0], score[0], cost[0], rng, floor=floor)
    return repeated_cost_curve(selection, score, cost, floor=floor)


def _left_out(baseline: TunedBaseline, workloads: set[str]) -> str | None:
    name = f"{baseline.workload}, '{baseline.label}'"
    if not baseline.num_trials:
        return f"{name}: no trial has ended yet."
    if baseline.is_independent and baseline.num_trials < _FEWEST_TRIALS:
        return f"{name}: {baseline.num_trials} trials have ended; a curve takes {_FEWEST_TRIALS}."
    if baseline.workload not in workloads:
        return f"{name}: no untuned method has run on this workload."
    return None


def _untuned(group: pd.DataFrame) -> _Untuned:
    ordered = group.sort_values("seed")
    completed = ordered["status"] == Status.COMPLETED
    # Of completed runs: runs that broke off early must not make the method look cheap.
    runs = ordered[completed] if completed.any() else ordered
    gradients = float(runs["gradient_evaluations"].astype("float64").mean())
    return _Untuned(
        scores=ordered["score"].to_numpy(dtype=np.float64),
        selection=selection_of(ordered),
        gradient_evaluations=gradients if gradients > 0 else None,
    )


def _tuned(baseline: TunedBaseline, floor: float) -> _Tuned:
    costs = (baseline.gradient_evaluations, baseline.device_seconds)
    gradients, seconds = (
        None if cost is None else cost_curve(baseline, cost, floor) for cost in costs
    )
    configuration = trial_curve(baseline, baseline.configuration)
    return _Tuned(
        baseline=baseline,
        configuration=configuration,
        deployed=trial_curve(baseline, baseline.deployed),
        gradient_evaluations=gradients,
        device_seconds=seconds,
    )


def _pair(method: str, untuned: _Untuned, tuned: _Tuned) -> CatchingUp:
    baseline, curve = tuned.baseline, tuned.configuration
    is_range = not baseline.is_independent and baseline.num_repeats < FEWEST_REPEATS
    is_single = baseline.num_repeats == 1
    match = partial(range_to_match, is_single=is_single) if is_range else budget_to_match
    lead = partial(range_of_leads, is_single=is_single) if is_range else lead_at

    def level(budgets: FloatArray) -> Curve:
        return constant_curve(untuned.scores, budgets)

    def on_costs(costs: Curve | None) -> BudgetToMatch | None:
        return match(costs, level(costs.budgets)) if costs else None

    gradients = on_costs(tuned.gradient_evaluations)
    run = untuned.gradient_evaluations
    restarts = None if baseline.is_population else _restarts(untuned, curve)
    trials = match(curve, level(curve.budgets))
    return CatchingUp(
        method=method,
        baseline=baseline,
        num_seeds=len(untuned.scores),
        is_range=is_range,
        trials=trials,
        rerun_share=_rerun_share(baseline, int(min(trials.budget, trials.within))),
        gradient_evaluations=gradients,
        device_seconds=on_costs(tuned.device_seconds),
        cost_ratio=gradients.times(1 / run) if gradients and run else None,
        deployed=match(tuned.deployed.upto(restarts.budgets[-1]), restarts) if restarts else None,
        leads={n: lead(curve, level(curve.budgets), n) for n in LEADS_AT},
    )


def _restarts(untuned: _Untuned, tuned: Curve) -> Curve | None:
    """Return the curve of the best of n restarts, to half of the seeds: the rest is its error."""
    longest = min(len(untuned.scores) // 2, len(tuned.budgets))
    if longest < 2:
        return None
    return independent_curve(untuned.selection, untuned.scores, max_budget=longest)


def _rerun_share(baseline: TunedBaseline, budget: int) -> float:
    """Return the probability that what a budget selects was run again."""
    if not baseline.is_independent:
        return float(trial_curve(baseline, baseline.was_rerun).score[budget - 1])
    return float(expected_selected(baseline.selection[0], baseline.was_rerun[0], [budget])[0])
