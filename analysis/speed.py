"""How soon each method reaches its workload's target on validation."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from analysis.profiles import ScoreRange, profile_scores, score_ranges
from analysis.targets import TimeToTarget, first_epoch_at, time_to_target
from tune_metalr.trial import Role

COLUMNS = (
    "status",
    "validation_accuracy_curve",
    "epoch_seconds",
    "epochs_done",
    "steps",
)
"""Columns of the ledger that times to target need."""


_WHOLE = ("epochs_done", "steps")


class MethodSpeed(NamedTuple):
    """One method's runs towards the target of one workload."""

    workload: str
    method: str
    target_accuracy: float
    epochs: TimeToTarget
    steps: TimeToTarget
    seconds: TimeToTarget
    """Of training, without evaluations."""


class Profile(NamedTuple):
    """Scores of all methods, and what they rest on."""

    scores: list["ProfileScore"]
    workloads: list[str]
    """That every method ran."""
    left_out: list[str]
    """That some method did not run."""


class ProfileScore(NamedTuple):
    """AlgoPerf's score of one method over workloads; relative to the methods that are compared."""

    method: str
    exact: ScoreRange
    """With the range over leaving out one other method."""
    trapezoid: float
    """The official 100-point rule."""


def times_to_target(trials: pd.DataFrame) -> list[MethodSpeed]:
    """Return every method's times, of all its runs that were started; a miss is infinite.

    Trials of searches, their finals, and trials that were never run are left out.
    """
    started = trials[(trials["role"] == Role.BASELINE) & trials["status"].notna()]
    with_target = started.dropna(subset=["target_accuracy"])
    groups = with_target.groupby(["workload", "method"], sort=False)
    return [_speed(str(workload), str(method), group) for (workload, method), group in groups]


def profile(speeds: list[MethodSpeed]) -> Profile:
    """Score methods by their median epochs to target, on the workloads that all of them ran."""
    methods = list(dict.fromkeys(speed.method for speed in speeds))
    medians = {(speed.method, speed.workload): speed.epochs.median for speed in speeds}
    workloads = dict.fromkeys(speed.workload for speed in speeds)
    common = [w for w in workloads if all((m, w) in medians for m in methods)]
    left_out = [workload for workload in workloads if workload not in common]
    if not common:
        return Profile([], [], left_out)
    times = np.array([[medians[method, workload] for workload in common] for method in methods])
    trapezoid = profile_scores(times).trapezoid
    scores = [
        ProfileScore(method, exact, float(official))
        for method, exact, official in zip(methods, score_ranges(times), trapezoid, strict=True)
    ]
    return Profile(scores, common, left_out)


def _speed(workload: str, method: str, group: pd.DataFrame) -> MethodSpeed:
    target = float(group["target_accuracy"].iloc[0])
    runs = np.array([_run(row, target) for _, row in group.iterrows()])
    return MethodSpeed(
        workload,
        method,
        target,
        *(time_to_target(runs[:, unit], runs[:, unit + 3]) for unit in range(3)),
    )


def _run(row: pd.Series, target: float) -> FloatArray:
    """Return epochs, steps and seconds to the target, then what the whole run spent of each."""
    seconds = curve_of(row["epoch_seconds"])
    done, steps = (0.0 if pd.isna(row[name]) else float(row[name]) for name in _WHOLE)
    spent = [done, steps, float(seconds.sum())]
    epoch = first_epoch_at(curve_of(row["validation_accuracy_curve"]), target)
    if epoch is None:
        return np.array([np.inf] * 3 + spent)
    return np.array([epoch, steps * epoch / done, float(seconds[:epoch].sum()), *spent])


def curve_of(value: object) -> FloatArray:
    """Return a curve of the ledger as an array; a run that broke at once has none."""
    empty = value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA
    return np.asarray([] if empty else value, dtype=np.float64)
