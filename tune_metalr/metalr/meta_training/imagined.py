"""Runs that are imagined from the grid: where a residual would lead, without training anything.

A residual is asked once, near the end of the warm-up, so nearly the whole run has the moved rate:
what the grid says of a run with that rate from the beginning is close to what would happen.
Features are those that the grid's runs showed, straight between their log rates, of each seed
apart: a residual that listens to luck is punished for it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.gate import features_at
from tune_metalr.metalr.meta_training.grid import AXES, Outcome
from tune_metalr.metalr.meta_training.looks import runs_like
from tune_metalr.metalr.meta_training.surface import REGRET_CAP, Array, Surface
from tune_metalr.metalr.meta_training.watch import POINTS
from tune_metalr.metalr.metalr import CONSULTED_BEFORE
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.metalr.residual import Residual

POINT = round(CONSULTED_BEFORE * POINTS) - 1
"""The sixteenth of a run whose last look a residual is told."""


class Imagined(NamedTuple):
    """What the grid knows of one task with one seed."""

    surface: Surface
    log_rates: Array
    features: Array
    """[rates, features]; NaN where nothing could be told."""

    def features_at(self, log_rate: float) -> Features:
        """Return what a run at a rate shows where a residual is asked."""
        columns = self.features.T
        return Features(*(float(np.interp(log_rate, self.log_rates, one)) for one in columns))


def imagined_runs(
    outcomes: Iterable[Outcome], surfaces: Sequence[Surface], family: Family, law: Prior
) -> list[Imagined]:
    """Return a run for each task and seed of which all rates were tried with a law's warm-up."""
    rows: dict[tuple[str, int], dict[float, Outcome]] = {}
    for outcome in runs_like(outcomes, family, law):
        cell = outcome.cell
        rows.setdefault((cell.task, cell.seed), {})[cell.rate] = outcome
    by_task = {surface.task: surface for surface in surfaces}
    return [
        _imagined(by_task[task], found)
        for (task, _), found in sorted(rows.items())
        if set(found) == set(AXES[family].rates)
    ]


class Asked(NamedTuple):
    """What a residual is told of runs at the prior's rate."""

    runs: Sequence[Imagined]
    law: Prior
    inputs: torch.Tensor
    """[runs, inputs]; 0 where it must not move anything."""
    may_move: torch.Tensor
    """[runs], 1 or 0."""

    def moves(self, residual: Residual) -> list[float]:
        """Return how far a residual moves the log rate of each run."""
        found: list[float] = (residual.moves(self.inputs) * self.may_move).tolist()
        return found

    def mean_regret(self, moves: Sequence[float]) -> float:
        """Return the mean regret, each family of tasks counting as much as any other."""
        regrets: dict[str, list[float]] = {}
        for run, move in zip(self.runs, moves, strict=True):
            regret = regret_of_move(run, self.law, move)
            regrets.setdefault(run.surface.task_family, []).append(regret)
        return float(np.mean([np.mean(some) for some in regrets.values()]))


def ask(runs: Sequence[Imagined], law: Prior, residual: Residual) -> Asked:
    """Return what a residual is told: the same for all that have its ranges."""
    told = [
        residual.inputs_of(
            run.features_at(math.log(run.surface.peak_rate(law))),
            total_steps=run.surface.steps,
        )
        for run in runs
    ]
    nothing = torch.zeros(len(residual.ranges), dtype=torch.float64)
    return Asked(
        runs,
        law,
        inputs=torch.stack([nothing if inputs is None else inputs for inputs in told]),
        may_move=torch.tensor([float(inputs is not None) for inputs in told]),
    )


def regret_of_move(run: Imagined, law: Prior, move: float) -> float:
    """Return the regret of the prior with its log rate moved, at most 1."""
    rate = np.array([run.surface.peak_rate(law) * math.exp(move)])
    regret = run.surface.regret(rate, law.warmup_fraction, law.weight_decay)[0]
    return float(min(regret, REGRET_CAP))


def _imagined(surface: Surface, found: dict[float, Outcome]) -> Imagined:
    rates = sorted(found)
    unknown = np.full(len(Features._fields), math.nan)
    seen = [features_at(found[rate], POINT) for rate in rates]
    rows = [unknown if features is None else features for features in seen]
    return Imagined(surface, np.log(rates), np.array(rows))
