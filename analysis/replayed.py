"""Replayed searches, as `tune-metalr replay --csv` writes them: the best so far by sampler."""

import io
from fnmatch import fnmatch
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from tune_metalr.errors import UserError
from tune_metalr.store import Location, Store, open_store

PATTERN = "replay*.csv"
"""Files of a results folder in which replayed searches are looked for."""

_COLUMNS = ("workload", "sampler", "pruner", "repeat", "trials", "test_accuracy",
            "gradient_evaluations")  # fmt: skip


class ReplayedCurve(NamedTuple):
    """One sampler on the table of one workload."""

    workload: str
    label: str
    num_repeats: int
    trials: FloatArray
    """Shape (trials,)."""
    gradient_evaluations: FloatArray
    """Shape (trials,): mean over repeats of what all trials so far cost."""
    mean: FloatArray
    """Shape (trials,): test accuracy of what is selected so far."""
    low: FloatArray
    """Shape (trials,): 95 % interval of the simulation's mean, as `high`."""
    high: FloatArray


def replayed_curves(results: Location) -> list[ReplayedCurve]:
    """Return the curves of every replay whose CSV lies in a results folder; none if none does.

    Raises:
        UserError: Such a file is not what `replay` writes.
    """
    store = open_store(results)
    names = [name for name in store.names() if fnmatch(name, PATTERN)]
    return [curve for name in names for curve in _curves(store, name)]


def _curves(store: Store, name: str) -> list[ReplayedCurve]:
    try:
        table = pd.read_csv(
            io.BytesIO(store.read(name)), usecols=list(_COLUMNS), keep_default_na=False
        )
        numbers = table[list(_COLUMNS[3:])].apply(pd.to_numeric)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{store.location}/{name} is no file of replayed searches; move it away"
        ) from error
    table = table.assign(**{name: numbers[name] for name in numbers})
    groups = table.groupby(["workload", "sampler", "pruner"], sort=False)
    return [
        _curve(str(workload), " ".join(part for part in (str(sampler), str(pruner)) if part), group)
        for (workload, sampler, pruner), group in groups
    ]


def _curve(workload: str, label: str, group: pd.DataFrame) -> ReplayedCurve:
    by_trials = group.groupby("trials", sort=True)
    mean = by_trials["test_accuracy"].mean()
    repeats = int(group["repeat"].nunique())
    half = 1.96 * by_trials["test_accuracy"].std().fillna(np.inf) / np.sqrt(repeats)
    return ReplayedCurve(
        workload=workload,
        label=label,
        num_repeats=repeats,
        trials=mean.index.to_numpy(dtype=np.float64),
        gradient_evaluations=by_trials["gradient_evaluations"].mean().to_numpy(dtype=np.float64),
        mean=mean.to_numpy(dtype=np.float64),
        low=(mean - half).to_numpy(dtype=np.float64),
        high=(mean + half).to_numpy(dtype=np.float64),
    )
