"""The fit: the law whose mean regret over tasks and horizons is least."""

import math
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from tune_metalr.metalr.meta_training.grid import AXES
from tune_metalr.metalr.meta_training.surface import Array, Surface
from tune_metalr.metalr.prior import Family, Prior

_REGRET_CAP = 1.0
"""A law that ends at chance has failed, and cannot do worse."""

_SPREAD = (1 / 1.5, 1.0, 1.5)
"""The best rate of a user's task is another by such factors: a law must not stand at an edge."""

_RATES_PER_FACTOR_10 = 40
_EXPONENTS = tuple(round(-0.5 + 0.05 * n, 2) for n in range(11))
"""Between no effect of the horizon and that of convex theory, steps to the power of -1/2 (Schaipp
et al. 2025, arXiv 2501.18965). A steeper law fits three horizons, and is far off at others."""


class Fit(NamedTuple):
    """A law, and what it loses on the tasks that it was fitted on."""

    law: Prior
    mean_regret: float


def fit(
    surfaces: Sequence[Surface], family: Family, exponents: Iterable[float] = _EXPONENTS
) -> Fit:
    """Return the best law, of those whose warm-up and decay the grid has tried."""
    if not surfaces:
        raise ValueError("a fit needs at least one surface")
    rates = _rates(family)
    axes = AXES[family]
    best: tuple[float, Prior] | None = None
    for exponent, warmup, decay in product(exponents, axes.warmup_fractions, axes.weight_decays):
        objective = _objective(surfaces, Prior(1.0, exponent, warmup, decay), rates)
        index = int(objective.argmin())
        if best is None or objective[index] < best[0]:
            rate = float(f"{rates[index]:.3g}")
            best = float(objective[index]), Prior(rate, exponent, warmup, decay)
    assert best is not None
    return Fit(best[1], mean_regret(surfaces, best[1]))


def mean_regret(surfaces: Sequence[Surface], law: Prior) -> float:
    """Return a law's mean regret, each task family counting as much as any other."""
    regrets = np.array([regret_of(surface, law) for surface in surfaces])
    return float(_weights(surfaces) @ np.minimum(regrets, _REGRET_CAP))


def regret_of(surface: Surface, law: Prior) -> float:
    """Return a law's regret on one task at one horizon."""
    rate = np.array([law.peak_rate(surface.steps)])
    return float(surface.regret(rate, law.warmup_fraction, law.weight_decay)[0])


def usual_regret(surfaces: Sequence[Surface]) -> float:
    """Return the mean regret of AdamW as torch has it. NaN where it was not run."""
    regrets = np.array([surface.usual_regret for surface in surfaces])
    return float(_weights(surfaces) @ np.minimum(regrets, _REGRET_CAP))


def _rates(family: Family) -> Array:
    low, high = (math.log10(end(AXES[family].rates)) for end in (min, max))
    return np.logspace(low, high, 1 + round((high - low) * _RATES_PER_FACTOR_10))


def _objective(surfaces: Sequence[Surface], unit: Prior, rates: Array) -> Array:
    """Return the mean capped regret for each rate at 1,000 steps; `unit` has the rate 1."""
    total = np.zeros(len(rates))
    for surface, weight in zip(surfaces, _weights(surfaces), strict=True):
        peaks = unit.peak_rate(surface.steps) * rates[:, None] * np.array(_SPREAD)
        regrets = surface.regret(peaks, unit.warmup_fraction, unit.weight_decay)
        total += weight * np.minimum(regrets, _REGRET_CAP).mean(axis=1)
    return total


def _weights(surfaces: Sequence[Surface]) -> Array:
    """Return weights that sum to 1: task families count equally, and so do surfaces within."""
    families = [surface.task_family for surface in surfaces]
    counts = np.array([families.count(family) for family in families])
    return 1 / (counts * len(set(families)))
