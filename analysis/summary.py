"""Each method on each workload: what its runs scored and cost, and how many ended how."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.intervals import Interval, mean_interval, wilson_interval
from analysis.scores import COST_COLUMNS, SCORE_COLUMNS, device_seconds, floors, with_scores
from tune_metalr.trial import MISSING, Role, Status

COLUMNS = (*SCORE_COLUMNS, *COST_COLUMNS)
"""Columns of the ledger that a summary needs."""


class MethodSummary(NamedTuple):
    """One method on one workload."""

    workload: str
    method: str
    role: str
    wanted: int
    counts: Counter[str]
    """Trials by status; `missing` were never run."""
    diverged: Interval | None
    """Share of the runs that diverged, with Wilson's interval; `None` without any run."""
    completed_score: Interval | None
    """Mean test accuracy of completed runs; `None` without one."""
    score: Interval | None
    """Mean over all runs, one without a score counting as the workload's floor."""
    gradient_evaluations: float | None
    """Mean of a run, however it ended."""
    device_seconds: float | None
    """Mean of a run, however it ended."""
    total_device_seconds: float
    """Of all runs."""


def summarize(trials: pd.DataFrame) -> list[MethodSummary]:
    """Summarise `load_trials` by workload and method, in the study's order.

    Trials of searches are left out: `budgets` is about them.
    """
    shown = trials[trials["role"] != Role.SEARCH]
    scored = with_scores(shown, floors(trials))
    scored = scored.assign(device_seconds=device_seconds(scored))
    groups = scored.groupby(["workload", "method", "role"], sort=False)
    return [
        _summary(str(workload), str(method), str(role), group.sort_values("seed"))
        for (workload, method, role), group in groups
    ]


def _summary(workload: str, method: str, role: str, group: pd.DataFrame) -> MethodSummary:
    counts = Counter(str(status) for status in group["status"].fillna(MISSING))
    ended = len(group) - counts[MISSING]
    completed = group[group["status"] == Status.COMPLETED]
    return MethodSummary(
        workload=workload,
        method=method,
        role=role,
        wanted=len(group),
        counts=counts,
        diverged=wilson_interval(counts[Status.DIVERGED], ended) if ended else None,
        completed_score=_interval(completed["score"]),
        score=_interval(group["score"].dropna()),
        gradient_evaluations=_mean(group["gradient_evaluations"]),
        device_seconds=_mean(group["device_seconds"]),
        total_device_seconds=float(group["device_seconds"].sum()),
    )


def _interval(scores: pd.Series) -> Interval | None:
    """Return the mean accuracy; an interval ends where accuracies do."""
    if not len(scores):
        return None
    interval = mean_interval(scores.to_numpy(), np.random.default_rng(0))
    if len(scores) == 1:
        return interval  # infinite: one run says nothing of others
    return interval._replace(low=max(0.0, interval.low), high=min(1.0, interval.high))


def _mean(values: pd.Series) -> float | None:
    known = values.dropna()
    return float(known.mean()) if len(known) else None
