"""Learns a residual on imagined runs, and says what it gains on families that it has not seen."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.evolution import Strategy, evolve
from tune_metalr.metalr.meta_training.imagined import Asked, Imagined, ask, regret_of_move
from tune_metalr.metalr.meta_training.surface import Array
from tune_metalr.metalr.prior import Prior
from tune_metalr.metalr.residual import BOUND, HORIZON, Range, Residual

GENERATIONS = 300
_STRATEGY = Strategy(pairs=12, deviation=0.15, rate=0.03)
_PENALTY = 0.01
"""On the mean square of moves: what gains nothing is not moved."""
_SMALLEST_SCALE = 1e-6


class Parts(NamedTuple):
    """What MetaLR is made of, as it was learned from some families of tasks."""

    law: Prior
    features: tuple[str, ...]
    """Those that passed the gate on these families."""
    residual: Residual


class LeftOut(NamedTuple):
    """What a residual gains on a family of tasks that nothing in it has seen."""

    task_family: str
    parts: Parts
    prior_regrets: tuple[float, ...]
    """Of each task and seed."""
    residual_regrets: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Mean regret that is saved."""
        return float(np.mean(self.prior_regrets) - np.mean(self.residual_regrets))


class Learned(NamedTuple):
    """What evolution has found."""

    residual: Residual
    curve: list[float]
    """The mean objective of each generation; empty where there was nothing to learn from."""


def learn_residual(
    runs: Sequence[Imagined], law: Prior, features: Sequence[str], *, seed: int
) -> Learned:
    """Return the residual that evolution finds on these runs; without features, one at rest."""
    start = Residual.untrained(ranges_of(runs, law, features), seed=seed)
    if not features:
        return Learned(start, [])

    asked = ask(runs, law, start)

    def objectives(candidates: Sequence[Array]) -> list[float]:
        return [_objective(asked, _as_residual(start, vector)) for vector in candidates]

    strategy = _STRATEGY._replace(seed=seed)
    found = evolve(start.vector().numpy(), objectives, generations=GENERATIONS, strategy=strategy)
    return Learned(_as_residual(start, found.mean), found.curve)


def left_out(task_family: str, runs: Sequence[Imagined], parts: Parts) -> LeftOut:
    """Return what a residual gains on a family.

    Args:
        task_family: The one that the parts have not seen.
        runs: Its runs.
        parts: What was learned on the others.
    """
    moves = ask(runs, parts.law, parts.residual).moves(parts.residual)
    moved = [regret_of_move(run, parts.law, move) for run, move in zip(runs, moves, strict=True)]
    still = [regret_of_move(run, parts.law, 0.0) for run in runs]
    return LeftOut(task_family, parts, tuple(still), tuple(moved))


def ranges_of(runs: Sequence[Imagined], law: Prior, features: Iterable[str]) -> dict[str, Range]:
    """Return where inputs were on the suite, at rates within a factor of 4 of the prior's."""
    shown: dict[str, list[float]] = {name: [] for name in (*features, HORIZON)}
    for run in runs:
        distance = np.abs(run.log_rates - math.log(run.surface.peak_rate(law)))
        for row in run.features[distance <= BOUND]:
            values = Features(*row)._asdict() | {HORIZON: math.log(run.surface.steps / 1000)}
            for name, seen in shown.items():
                seen.append(values[name])
    return {name: _range([v for v in seen if math.isfinite(v)]) for name, seen in shown.items()}


def _range(values: list[float]) -> Range:
    scale = max(float(np.std(values)), _SMALLEST_SCALE)
    return Range(float(np.mean(values)), scale, min(values), max(values))


def _objective(asked: Asked, residual: Residual) -> float:
    moves = asked.moves(residual)
    return asked.mean_regret(moves) + _PENALTY * float(np.mean(np.square(moves)))


def _as_residual(start: Residual, vector: Array) -> Residual:
    return start.with_vector(torch.from_numpy(vector))
