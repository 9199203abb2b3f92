"""How much hangs on the rate: scores and divergence over it, and how wide the good range is."""

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.arrays import FloatArray
from analysis.intervals import Interval, wilson_interval
from analysis.scores import SCORE_COLUMNS
from analysis.searches import selection_of
from tune_metalr.evidence import SearchIdentity
from tune_metalr.trial import Role, Status, canonical_json

COLUMNS = (
    *SCORE_COLUMNS,
    "hyperparameters",
    "validation_accuracy",
    "validation_loss_nats",
)
"""Columns of the ledger that sensitivity needs."""

TOLERANCE = 0.01
"""Within which of the best a score counts as good, as a share of accuracy."""

_BINS_PER_DECADE = 3
_MOST_POINTS = 20
"""Distinct rates up to which each one stands alone."""

_EDGE = 0.1
"""Outer share of the range, on a log axis, in which a best rate is at the edge."""


class RateBin(NamedTuple):
    """The trials of about one rate."""

    rate: float
    """Geometric middle."""
    low_rate: float
    high_rate: float
    num_trials: int
    median_score: float
    """Of test accuracy; a trial without a score counts as the workload's floor."""
    diverged: Interval
    """Share, with Wilson's interval."""


class Sensitivity(NamedTuple):
    """One family of trials that differ in the rate, on one workload."""

    workload: str
    name: str
    num_trials: int
    bins: tuple[RateBin, ...]
    best_rate: float | None
    """Of the trial that validation selects; `None` if none completed."""
    good_decades: float | None
    """Width of the rates whose median score lies within `TOLERANCE` of the best one's."""
    lowest_rate: float
    highest_rate: float
    is_at_edge: bool
    """Whether the best rate lies in the outer tenth of those that were tried."""


def sensitivities(trials: pd.DataFrame, searches: pd.DataFrame) -> list[Sensitivity]:
    """Return each search, and each fixed method at several rates, by workload in the study's order.

    Other settings that a search varies are averaged over: this is no slice through the best point.

    Args:
        trials: Of `load_trials`, with `score`.
        searches: Of `load_searches`, with `score`.
    """
    found = []
    for (workload, name), group in _families(trials, searches):
        run = group[group["status"].notna()]
        if run["rate"].nunique() > 1:
            found.append(_sensitivity(workload, name, run))
    order = list(dict.fromkeys([*trials["workload"], *searches["workload"]]))
    return sorted(found, key=lambda each: order.index(each.workload))


def rates_of(frame: pd.DataFrame) -> FloatArray:
    """Return the rate that each trial was given, shape (rows,); NaN where it has none."""
    return np.array([_setting(text) for text in frame["hyperparameters"]], dtype=np.float64)


def rate_bins(rates: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bin of each rate: its own if few come often, else a third of a decade.

    Args:
        rates: Shape (n,), positive.
    """
    values = np.asarray(rates, dtype=np.float64)
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) <= min(_MOST_POINTS, len(values) / 2):
        return place.astype(np.int64)
    return np.floor(np.log10(values) * _BINS_PER_DECADE + 1e-9).astype(np.int64)


def good_width(bins: Sequence[RateBin], tolerance: float = TOLERANCE) -> float:
    """Return the decades around the best bin in which every median is within `tolerance` of it.

    Single rates have no width: two neighbours reach from one to the other.
    """
    scores = [each.median_score for each in bins]
    best = int(np.argmax(scores))
    first = last = best
    while first > 0 and scores[first - 1] >= scores[best] - tolerance:
        first -= 1
    while last < len(bins) - 1 and scores[last + 1] >= scores[best] - tolerance:
        last += 1
    return math.log10(bins[last].high_rate / bins[first].low_rate)


def _families(
    trials: pd.DataFrame, searches: pd.DataFrame
) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    found: list[tuple[tuple[str, str], pd.DataFrame]] = []
    identity = ["workload", "search", "sampler", "pruner"]
    for _, group in searches.groupby(identity, sort=False, dropna=False):
        workload, search, sampler, pruner = (
            None if pd.isna(name) else str(name) for name in group[identity].iloc[0]
        )
        label = SearchIdentity(str(search), str(workload), str(sampler), pruner).label
        found.append(((str(workload), label), group))
    fixed = trials[(trials["role"] == Role.BASELINE) & trials["status"].notna()]
    kinds = [_without_rate(text) for text in fixed["definition"]]
    for (place, _), group in fixed.assign(kind=kinds).groupby(["workload", "kind"], sort=False):
        found.append(((str(place), _common_name(list(group["method"].unique()))), group))
    rated = [(names, group.assign(rate=rates_of(group))) for names, group in found]
    return [(names, group[group["rate"] > 0]) for names, group in rated]


def _sensitivity(workload: str, name: str, run: pd.DataFrame) -> Sensitivity:
    places = rate_bins(run["rate"])
    bins = tuple(_bin(run[places == place]) for place in np.unique(places))
    low, high = float(run["rate"].min()), float(run["rate"].max())
    is_completed = (run["status"] == Status.COMPLETED).to_numpy()
    best = (
        float(run["rate"].iloc[int(np.argmax(selection_of(run)))]) if is_completed.any() else None
    )
    return Sensitivity(
        workload=workload,
        name=name,
        num_trials=len(run),
        bins=bins,
        best_rate=best,
        good_decades=good_width(bins) if best is not None else None,
        lowest_rate=low,
        highest_rate=high,
        is_at_edge=best is not None and is_near_edge(best, low, high),
    )


def is_near_edge(rate: float, low: float, high: float) -> bool:
    """Return whether a rate lies in the outer tenth of a range, on a log axis."""
    share = math.log(rate / low) / math.log(high / low)
    return not _EDGE <= share <= 1 - _EDGE


def _bin(group: pd.DataFrame) -> RateBin:
    low, high = float(group["rate"].min()), float(group["rate"].max())
    diverged = int((group["status"] == Status.DIVERGED).sum())
    return RateBin(
        rate=math.sqrt(low * high),
        low_rate=low,
        high_rate=high,
        num_trials=len(group),
        median_score=float(group["score"].median()),
        diverged=wilson_interval(diverged, len(group)),
    )


def _setting(text: object) -> float:
    settings: dict[str, object] = json.loads(text) if isinstance(text, str) else {}
    rate = settings.get("lr")
    return float(rate) if isinstance(rate, int | float) else math.nan


def _without_rate(definition: str) -> str:
    content = json.loads(definition)
    content["hyperparameters"].pop("lr", None)
    del content["seed"]
    return canonical_json(content)


def _common_name(methods: list[str]) -> str:
    """Return what the names of the same method at several rates begin with."""
    first, last = min(methods), max(methods)
    same = next(
        (place for place in range(len(first)) if first[: place + 1] != last[: place + 1]),
        len(first),
    )
    return first[:same].rstrip(" -_=.(0123456789") or first
