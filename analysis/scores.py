"""What a trial counts as, and what it cost, whatever became of it.

A completed trial counts as its test accuracy. One that diverged, failed or was pruned has no score
and counts as the workload's floor. One that was never run counts as nothing: it is missing.
"""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from tune_metalr.errors import UserError
from tune_metalr.trial import Status

SCORE_COLUMNS = ("definition", "status", "test_accuracy")
"""Columns of the ledger that `with_scores` needs."""

COST_COLUMNS = (
    "threads",
    "gradient_evaluations",
    "train_seconds",
    "evaluation_seconds",
    "probe_seconds",
    "lost_seconds",
)
"""Columns of the ledger that `device_seconds` needs, and gradient evaluations."""


class Scores(NamedTuple):
    """The methods of one workload, paired by seed."""

    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    values: FloatArray
    """Shape (methods, seeds); NaN where a trial is missing."""


def chance_accuracies(*frames: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy of guessing for each workload, 1 over its number of classes.

    A workload of which no trial is recorded is left out; one whose number of classes is unknown
    has 0.
    """
    found: dict[str, float] = {}
    for frame in frames:
        recorded = frame.dropna(subset=["definition"]).drop_duplicates("workload")
        for workload, definition in zip(recorded["workload"], recorded["definition"], strict=True):
            source = json.loads(definition)["workload_settings"].get("source") or {}
            classes = source.get("num_classes")
            found.setdefault(workload, 1 / classes if classes else 0.0)
    return found


def floors(*frames: pd.DataFrame) -> dict[str, float]:
    """Return for each workload what a trial without a score counts as.

    It is the accuracy of guessing, or that of the worst completed trial if it is lower still: no
    method gains by a run that fails.
    """
    lowest = chance_accuracies(*frames)
    for frame in frames:
        completed = frame[frame["status"] == Status.COMPLETED]
        for workload, worst in completed.groupby("workload")["test_accuracy"].min().items():
            lowest[str(workload)] = min(lowest.get(str(workload), np.inf), worst)
    return lowest


def with_scores(frame: pd.DataFrame, floor: dict[str, float]) -> pd.DataFrame:
    """Return the rows with `score`: test accuracy, the floor, or null where nothing was run.

    Args:
        frame: Of `load_trials` or `load_searches`.
        floor: Of `floors`.
    """
    accuracy = frame["test_accuracy"].where(frame["status"] == Status.COMPLETED)
    lowest = frame["workload"].map(floor).astype("float64")
    score = accuracy.fillna(lowest).where(frame["status"].notna())
    return frame.assign(score=score.astype("float64"))


def device_seconds(frame: pd.DataFrame) -> pd.Series:
    """Return the CPU slots' seconds that each trial took, work that was lost included.

    Null where a trial left no cost: it was never run, or broke before its first step.
    """
    parts = ["train_seconds", "evaluation_seconds", "probe_seconds"]
    spent = frame[parts].sum(axis=1, min_count=1) + frame["lost_seconds"].fillna(0.0)
    seconds: pd.Series = (spent * frame["threads"].astype("float64")).astype("float64")
    return seconds


def paired_scores(frame: pd.DataFrame) -> Scores:
    """Return the scores of one workload by method and seed, methods in the order of the rows.

    Args:
        frame: Of `with_scores`, of one workload.

    Raises:
        UserError: A method has two trials of one seed: their mean would hide that.
    """
    twice = frame.duplicated(["method", "seed"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise UserError(f"method '{row['method']}' has two trials of seed {row['seed']}")
    methods = tuple(frame["method"].unique())
    table = frame.pivot(index="method", columns="seed", values="score").reindex(methods)
    table = table.sort_index(axis=1)
    return Scores(methods, tuple(int(seed) for seed in table.columns), table.to_numpy())
