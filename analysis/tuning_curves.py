"""What tuning buys as curves with bands: over trials, gradient evaluations and seconds."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from analysis.arrays import FloatArray
from analysis.bands import simultaneous_band
from analysis.budgets import TRIALS_PER_BUDGET, Curve
from analysis.catching_up import cost_curve, trial_curve
from analysis.searches import TunedBaseline
from tune_metalr.evidence import FEWEST_REPEATS

UNITS = ("trials", "gradient evaluations", "device-seconds")
"""In which budgets are told, in the order of `TuningCurves.curves`."""


class TuningCurve(NamedTuple):
    """The expected test score of the selected configuration within each budget."""

    budgets: FloatArray
    """Shape (budgets,), in one of `UNITS`."""
    score: FloatArray
    low: FloatArray
    """Shape (budgets,), as `high`; infinite where nothing can be said."""
    high: FloatArray


class TuningCurves(NamedTuple):
    """One tuned baseline on one workload."""

    workload: str
    label: str
    curves: dict[str, TuningCurve]
    """By unit; a cost that is not known is left out."""
    is_range: bool
    """Whether bands are the extremes over too few repeats of an adaptive search."""


def tuning_curves(
    baselines: Iterable[TunedBaseline], floor: Mapping[str, float]
) -> list[TuningCurves]:
    """Return the curves of every tuned baseline that has enough trials.

    Args:
        baselines: Of `tuned_baselines`.
        floor: What a trial without a score counts as, by workload.
    """
    return [_curves(each, floor[each.workload]) for each in baselines if has_curve(each)]


def has_curve(baseline: TunedBaseline) -> bool:
    """Return whether there are enough trials to tell what a budget buys."""
    fewest = 2 * TRIALS_PER_BUDGET if baseline.is_independent else 1
    return baseline.num_trials >= fewest


def banded(curve: Curve, *, is_range: bool) -> TuningCurve:
    """Return a curve with a band: over repeats where these are few, else of 95 % for the whole."""
    if is_range:
        single = curve.pseudo_values
        return TuningCurve(curve.budgets, curve.score, single.min(axis=0), single.max(axis=0))
    low, high = simultaneous_band(curve, np.random.default_rng(0))
    return TuningCurve(curve.budgets, curve.score, low, high)


def _curves(baseline: TunedBaseline, floor: float) -> TuningCurves:
    is_range = not baseline.is_independent and baseline.num_repeats < FEWEST_REPEATS
    curves = [trial_curve(baseline, baseline.configuration)]
    costs = (baseline.gradient_evaluations, baseline.device_seconds)
    found: list[Curve | None] = [
        *curves,
        *(None if cost is None else cost_curve(baseline, cost, floor) for cost in costs),
    ]
    return TuningCurves(
        baseline.workload,
        baseline.label,
        {
            unit: banded(curve, is_range=is_range)
            for unit, curve in zip(UNITS, found, strict=True)
            if curve is not None
        },
        is_range,
    )
