"""Whether one method is at its workload's target sooner than each other one, seed by seed."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from analysis.speed import curve_of
from analysis.stats import holm
from analysis.targets import first_epoch_at
from tune_metalr.trial import Role


class Sooner(NamedTuple):
    """One method and a rival on their way to the target of one workload."""

    workload: str
    method: str
    rival: str
    target_accuracy: float
    num_pairs: int
    """Seeds that both have run."""
    sooner: int
    """Seeds on which the method is at the target at an earlier epoch, or alone gets there."""
    later: int
    neither: int
    """Seeds on which neither gets there; the rest are at the same epoch."""
    median_epochs: float
    """Of the method over pairs, a miss being infinite."""
    rivals_median_epochs: float
    sign_p: float = math.nan
    """Two-sided sign test of the seeds on which they differ, by Holm over the workload's rivals;
    NaN if there is none."""


def sooner_than_each(trials: pd.DataFrame, method: str) -> list[Sooner]:
    """Return how soon an untuned method is at the target beside each other untuned one.

    Args:
        trials: Of `load_trials`; runs that were never started are left out.
        method: As the study calls it.
    """
    started = trials[(trials["role"] == Role.BASELINE) & trials["status"].notna()]
    with_target = started.dropna(subset=["target_accuracy"])
    found = []
    for workload, group in with_target.groupby("workload", sort=False):
        target = float(group["target_accuracy"].iloc[0])
        epochs = {str(name): _epochs(rows, target) for name, rows in group.groupby("method")}
        names = [str(name) for name in group["method"].unique()]
        pairs = [
            _pair(str(workload), target, method, rival, epochs[method], epochs[rival])
            for rival in names
            if rival != method and method in epochs
        ]
        found += _adjusted([pair for pair in pairs if pair.num_pairs])
    return found


def _epochs(rows: pd.DataFrame, target: float) -> dict[int, float]:
    """Return when each seed is at the target; infinite for a miss."""
    hits = [first_epoch_at(curve_of(c), target) for c in rows["validation_accuracy_curve"]]
    times = [math.inf if hit is None else float(hit) for hit in hits]
    return dict(zip(rows["seed"].astype(int), times, strict=True))


def _pair(
    workload: str,
    target: float,
    method: str,
    rival: str,
    own: dict[int, float],
    theirs: dict[int, float],
) -> Sooner:
    seeds = sorted(own.keys() & theirs.keys())
    mine = np.array([own[seed] for seed in seeds])
    other = np.array([theirs[seed] for seed in seeds])
    sooner, later = int((mine < other).sum()), int((mine > other).sum())
    return Sooner(
        workload,
        method,
        rival,
        target,
        num_pairs=len(seeds),
        sooner=sooner,
        later=later,
        neither=int((np.isinf(mine) & np.isinf(other)).sum()),
        median_epochs=float(np.median(mine)) if seeds else math.nan,
        rivals_median_epochs=float(np.median(other)) if seeds else math.nan,
        sign_p=binomtest(sooner, sooner + later).pvalue if sooner + later else math.nan,
    )


def _adjusted(pairs: list[Sooner]) -> list[Sooner]:
    adjusted = holm([pair.sign_p for pair in pairs])
    return [pair._replace(sign_p=float(p)) for pair, p in zip(pairs, adjusted, strict=True)]
