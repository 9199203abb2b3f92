"""The gate: which features tell the rate at all, before anything is learned from them.

A feature passes where a doubling of the rate moves it by more than two runs with the same rate
differ: in the typical task of every family that must not be misled. One that answers to the size of
the network or to luck alone would be learned by heart on the suite, and mislead elsewhere.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.grid import Outcome
from tune_metalr.metalr.meta_training.surface import Array
from tune_metalr.metalr.prior import Family

_HAVE_A_UNIT: Mapping[Family, frozenset[str]] = MappingProxyType(
    {Family.ADAM: frozenset(), Family.SGD_MOMENTUM: frozenset({"update_size"})}
)
"""Features that are another number with another unit of the loss: they never pass."""

_DOUBLING = math.log(2.0)
_FEWEST_RATES = 4


class Response(NamedTuple):
    """How one feature answers to the rate, in one task, at one point of its course."""

    lowest: float
    highest: float
    slope: float
    """Of the feature against the log of the rate."""
    noise: float
    """Deviation between runs that differ in their seed alone."""

    @property
    def clearness(self) -> float:
        """What a doubling of the rate does, in deviations of the noise."""
        if self.lowest == self.highest:
            return 0.0
        return abs(self.slope) * _DOUBLING / self.noise if self.noise > 0 else math.inf


class Gate(NamedTuple):
    """What the gate says of one feature."""

    feature: str
    clearness: Mapping[str, float]
    """Median over the tasks of each family."""
    lowest: float
    highest: float
    """The range that the suite knows: its 2nd and 98th percentile."""
    passes: bool


def gates(
    outcomes: Iterable[Outcome],
    family: Family,
    *,
    point: int,
    task_families: Mapping[str, str],
    judges: Sequence[str],
) -> list[Gate]:
    """Return what the gate says of each feature.

    Args:
        outcomes: Of the grid: `runs_like` the prior.
        family: Of optimizers.
        point: The sixteenth of the run whose look is judged.
        task_families: Of each task.
        judges: The task families in all of which a feature must answer.
    """
    seen = _seen(outcomes, point)
    told = []
    for number, name in enumerate(Features._fields):
        clearness: dict[str, list[float]] = defaultdict(list)
        values: list[float] = []
        for task, runs in seen.items():
            found = response({key: features[number] for key, features in runs.items()})
            if found is not None:
                clearness[task_families[task]].append(found.clearness)
            values += [v for f in runs.values() if math.isfinite(v := f[number])]
        medians = {kind: float(np.median(some)) for kind, some in clearness.items()}
        lowest, highest = np.percentile(values, [2, 98]) if values else (math.nan, math.nan)
        is_clear = bool(judges) and all(medians.get(judge, 0.0) > 1 for judge in judges)
        passes = is_clear and name not in _HAVE_A_UNIT[family]
        told.append(Gate(name, medians, float(lowest), float(highest), passes))
    return told


def response(values: Mapping[tuple[float, int], float]) -> Response | None:
    """Return how a feature answers, of its values by rate and seed; `None` if too few are known."""
    known = {key: value for key, value in values.items() if math.isfinite(value)}
    by_rate: dict[float, list[float]] = defaultdict(list)
    for (rate, _), value in known.items():
        by_rate[rate].append(value)
    repeated = [some for some in by_rate.values() if len(some) > 1]
    if len(by_rate) < _FEWEST_RATES or not repeated:
        return None
    rates = np.log(list(by_rate))
    means = np.array([np.mean(some) for some in by_rate.values()])
    freedom = sum(len(some) - 1 for some in repeated)
    squares = sum(float(np.var(some)) * len(some) for some in repeated)
    return Response(
        lowest=min(known.values()),
        highest=max(known.values()),
        slope=float(np.polyfit(rates, means, 1)[0]),
        noise=math.sqrt(squares / freedom),
    )


def _seen(outcomes: Iterable[Outcome], point: int) -> dict[str, dict[tuple[float, int], Array]]:
    """Return the features of each task, by rate and seed."""
    seen: dict[str, dict[tuple[float, int], Array]] = defaultdict(dict)
    for outcome in outcomes:
        cell = outcome.cell
        features = features_at(outcome, point)
        if features is not None and not outcome.diverged:
            seen[cell.task][cell.rate, cell.seed] = features
    return seen


def features_at(outcome: Outcome, point: int) -> Array | None:
    """Return the features of the last look up to a point; `None` if there was none."""
    for features in reversed(outcome.features[: point + 1]):
        if features is not None:
            return np.array([math.nan if value is None else value for value in features])
    return None
