"""The fit: the law whose mean regret over tasks and horizons is least."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from tune_metalr.metalr.meta_training.grid import AXES
from tune_metalr.metalr.meta_training.surface import REGRET_CAP, Array, Surface
from tune_metalr.metalr.prior import Family, Prior

SPREAD = (1 / 1.5, 1.0, 1.5)
"""The best rate of a user's task is another by such factors: a law must not stand at an edge."""

_RATES_PER_FACTOR_10 = 40


class Exponents(NamedTuple):
    """Which powers of horizon and width a fit may take."""

    steps: tuple[float, ...]
    width: tuple[float, ...]


SAME_RATE = Exponents((0.0,), (0.0,))
_OF_STEPS = tuple(round(-0.5 + 0.05 * n, 2) for n in range(11))
"""Between no effect of the horizon and that of convex theory, steps to the power of -1/2 (Schaipp
et al. 2025, arXiv 2501.18965). A steeper law fits three horizons, and is far off at others."""
_OF_WIDTH = tuple(round(-1 + 0.1 * n, 1) for n in range(11))
"""Between no effect and that of theory for Adam, one over the width (Yang et al. 2022, arXiv
2203.03466)."""
ALL = Exponents(_OF_STEPS, _OF_WIDTH)
WITHOUT_WIDTH = Exponents(_OF_STEPS, (0.0,))


class Fit(NamedTuple):
    """A law, and what it loses on the tasks that it was fitted on."""

    law: Prior
    mean_regret: float
    exponents: Exponents
    """That it may have."""


class Fitting:
    """Fits laws to tasks, or to all of them but a family. Every law is tried on a task once."""

    def __init__(self, surfaces: Sequence[Surface], family: Family) -> None:
        if not surfaces:
            raise ValueError("a fit needs at least one surface")
        self._surfaces = surfaces
        self._family = family
        self._rates = _rates(surfaces)
        self._regrets = np.stack([self._of(surface) for surface in surfaces])
        """[surfaces, powers of steps, powers of width, warm-ups, decays, rates]."""

    def fit(self, exponents: Exponents = ALL, *, without: Collection[str | None] = ()) -> Fit:
        """Return the best law, of those whose warm-up and decay the grid has tried.

        Args:
            exponents: That the law may have.
            without: Families of tasks that are left out.
        """
        kept = [n for n, one in enumerate(self._surfaces) if one.task_family not in without]
        surfaces = [self._surfaces[number] for number in kept]
        tried = np.ix_(
            kept,
            [ALL.steps.index(power) for power in exponents.steps],
            [ALL.width.index(power) for power in exponents.width],
        )
        objective = np.tensordot(_weights(surfaces), self._regrets[tried], axes=1)
        best = np.unravel_index(int(objective.argmin()), objective.shape)
        axes = AXES[self._family]
        law = Prior(
            rate_at_1000_steps=float(f"{self._rates[best[4]]:.3g}"),
            rate_exponent=exponents.steps[best[0]],
            warmup_fraction=axes.warmup_fractions[best[2]],
            weight_decay=axes.weight_decays[best[3]],
            width_exponent=exponents.width[best[1]],
        )
        return Fit(law, mean_regret(surfaces, law), exponents)

    def fit_what_transfers(self, *, without: str | None = None) -> Fit:
        """Return the best law, in which the width counts if that saves regret on left-out families.

        It has to save some in the mean: with six families nothing so small is ever certain.

        Args:
            without: A family of tasks of which nothing is known, not in this choice either.
        """
        families = {surface.task_family for surface in self._surfaces} - {without}

        def regret(exponents: Exponents) -> float:
            told = [
                self._regret_there(name, self.fit(exponents, without=(without, name)).law)
                for name in sorted(families)
            ]
            return float(np.mean(told))

        # With one family alone there is nothing to leave out.
        choices = (WITHOUT_WIDTH, ALL) if len(families) > 1 else (WITHOUT_WIDTH,)
        return self.fit(min(choices, key=regret), without=(without,))

    def _regret_there(self, task_family: str, law: Prior) -> float:
        return mean_regret([s for s in self._surfaces if s.task_family == task_family], law)

    def _of(self, surface: Surface) -> Array:
        """Return the regrets of all laws on one task, each at most 1, means over the spread."""
        axes = AXES[self._family]
        factors = [
            [Prior(1.0, of_steps, 0.0, 0.0, of_width) for of_width in ALL.width]
            for of_steps in ALL.steps
        ]
        units = np.array([[surface.peak_rate(unit) for unit in row] for row in factors])
        peaks = units[..., None, None] * self._rates[:, None] * np.array(SPREAD)
        regrets = [
            [
                np.minimum(surface.regret(peaks, warmup, decay), REGRET_CAP).mean(axis=-1)
                for decay in axes.weight_decays
            ]
            for warmup in axes.warmup_fractions
        ]
        found: Array = np.moveaxis(np.array(regrets), (0, 1), (2, 3))
        return found


def mean_regret(surfaces: Sequence[Surface], law: Prior) -> float:
    """Return a law's mean regret, each task family counting as much as any other."""
    regrets = np.array([regret_of(surface, law) for surface in surfaces])
    return float(_weights(surfaces) @ np.minimum(regrets, REGRET_CAP))


def regret_of(surface: Surface, law: Prior) -> float:
    """Return a law's regret on one task at one horizon."""
    rate = np.array([surface.peak_rate(law)])
    return float(surface.regret(rate, law.warmup_fraction, law.weight_decay)[0])


def usual_regret(surfaces: Sequence[Surface]) -> float:
    """Return the mean regret of AdamW as torch has it. NaN where it was not run."""
    regrets = np.array([surface.usual_regret for surface in surfaces])
    return float(_weights(surfaces) @ np.minimum(regrets, REGRET_CAP))


def _rates(surfaces: Sequence[Surface]) -> Array:
    low = min(surface.base.log_rates[0] for surface in surfaces) / math.log(10)
    high = max(surface.base.log_rates[-1] for surface in surfaces) / math.log(10)
    return np.logspace(low, high, 1 + round((high - low) * _RATES_PER_FACTOR_10))


def _weights(surfaces: Sequence[Surface]) -> Array:
    """Return weights that sum to 1: task families count equally, and so do surfaces within."""
    families = [surface.task_family for surface in surfaces]
    counts = np.array([families.count(family) for family in families])
    return 1 / (counts * len(set(families)))
