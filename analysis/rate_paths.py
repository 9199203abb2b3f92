"""The learning rates that methods set while they train: the median of runs, and their spread."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from tune_metalr.trial import Role

COLUMNS = ("status", "learning_rates")
"""Columns of the ledger that paths need: most of what there is to read."""

POINTS = 121
"""At which paths of any length are read, evenly from the first step to the last."""

QUANTILES = (0.1, 0.5, 0.9)


class RatePaths(NamedTuple):
    """All paths of one method on one workload."""

    workload: str
    method: str
    role: str
    num_runs: int
    """That have a path; of one that broke off, there is the part until then."""
    progress: FloatArray
    """Shape (points,): share of the steps of the longest run, 0 to 1."""
    low: FloatArray
    """Shape (points,), as `median` and `high`: quantile 0.1 over runs."""
    median: FloatArray
    high: FloatArray


def rate_paths(trials: pd.DataFrame) -> list[RatePaths]:
    """Return the paths of each method that has any, but for those of searches' trials.

    Args:
        trials: Of `load_trials` with `COLUMNS`.
    """
    shown = trials[(trials["role"] != Role.SEARCH) & trials["learning_rates"].notna()]
    found = []
    for (workload, method, role), group in shown.groupby(
        ["workload", "method", "role"], sort=False
    ):
        paths = [np.asarray(path, dtype=np.float64) for path in group["learning_rates"]]
        paths = [path for path in paths if len(path)]
        if paths:
            found.append(_summary((str(workload), str(method), str(role)), paths))
    return found


def resampled(path: FloatArray, longest: int, points: int = POINTS) -> FloatArray:
    """Return the rate at even shares of the longest run's steps; NaN after the path's end.

    Args:
        path: Shape (steps,).
        longest: Steps of the longest run.
        points: Of the result.
    """
    places = np.round(np.linspace(0, longest - 1, points)).astype(np.int64)
    inside = places < len(path)
    rates = np.full(points, np.nan)
    rates[inside] = path[places[inside]]
    return rates


def _summary(names: tuple[str, str, str], paths: list[FloatArray]) -> RatePaths:
    longest = max(map(len, paths))
    points = min(POINTS, longest)
    table = np.stack([resampled(path, longest, points) for path in paths])
    # Quantiles that pass over NaN are slow, and only runs that broke off need them.
    quantile = np.nanquantile if np.isnan(table).any() else np.quantile
    low, median, high = quantile(table, QUANTILES, axis=0)
    return RatePaths(*names, len(paths), np.linspace(0, 1, points), low, median, high)
