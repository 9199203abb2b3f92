"""How many runs have reached the target after each epoch: what is behind a median time."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from analysis.profiles import LARGEST_RATIO, performance_profile, time_ratios
from analysis.speed import MethodSpeed, curve_of
from analysis.targets import first_epoch_at
from tune_metalr.trial import Role

COLUMNS = ("status", "validation_accuracy_curve", "epochs")
"""Columns of the ledger that are read."""

_TAUS = 121


class Reached(NamedTuple):
    """One method's runs towards the target of one workload."""

    workload: str
    method: str
    target_accuracy: float
    num_runs: int
    """That were started, however they ended."""
    epochs: FloatArray
    """Shape (epochs + 1,): 0, 1 ... the budget."""
    share: FloatArray
    """Shape (epochs + 1,): of the runs that have reached the target by then."""


class WorkloadProfile(NamedTuple):
    """AlgoPerf's performance profile of one method over workloads."""

    method: str
    taus: FloatArray
    """Shape (taus,): multiples of the fastest method's time, 1 to 4."""
    share: FloatArray
    """Shape (taus,): of the workloads on which the method is within that multiple."""


def reached_by_epoch(trials: pd.DataFrame) -> list[Reached]:
    """Return the share of runs of each untuned method that are at the target, by epoch.

    Args:
        trials: Of `load_trials`; those that were never run are left out.
    """
    started = trials[(trials["role"] == Role.BASELINE) & trials["status"].notna()]
    with_target = started.dropna(subset=["target_accuracy"])
    return [
        _reached(str(workload), str(method), group)
        for (workload, method), group in with_target.groupby(["workload", "method"], sort=False)
    ]


def workload_profiles(speeds: list[MethodSpeed]) -> list[WorkloadProfile]:
    """Return the profiles over the workloads that every method ran; none for fewer than two."""
    medians = {(speed.method, speed.workload): speed.epochs.median for speed in speeds}
    methods = list(dict.fromkeys(speed.method for speed in speeds))
    workloads = dict.fromkeys(speed.workload for speed in speeds)
    common = [w for w in workloads if all((m, w) in medians for m in methods)]
    if len(common) < 2:
        return []
    times = np.array([[medians[method, workload] for workload in common] for method in methods])
    taus = np.linspace(1, LARGEST_RATIO, _TAUS)
    shares = performance_profile(time_ratios(times), taus)
    return [WorkloadProfile(m, taus, share) for m, share in zip(methods, shares, strict=True)]


def _reached(workload: str, method: str, group: pd.DataFrame) -> Reached:
    target = float(group["target_accuracy"].iloc[0])
    hits = [first_epoch_at(curve_of(c), target) for c in group["validation_accuracy_curve"]]
    budget = int(group["epochs"].max())
    epochs = np.arange(budget + 1, dtype=np.float64)
    times = np.array([np.inf if hit is None else hit for hit in hits])
    share = (times[None, :] <= epochs[:, None]).mean(axis=1)
    return Reached(workload, method, target, len(group), epochs, share)
