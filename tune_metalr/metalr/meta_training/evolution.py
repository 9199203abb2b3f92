"""Antithetic evolution strategies: a gradient from objectives that need none of their own.

Each generation draws pairs of opposite perturbations; the difference of their objectives, times the
perturbation, estimates the gradient of the smoothed objective (Salimans et al. 2017,
arXiv 1703.03864). Both of a pair see the same tasks and seeds, so that luck cancels. Differences
become ranks first: one run that fails must not steer a generation. Adam takes the step.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from tune_metalr.metalr.meta_training.surface import Array
from tune_metalr.seeds import derive_seed

_FIRST_MEMORY, _SECOND_MEMORY = 0.9, 0.99
_EPSILON = 1e-8

Evaluate = Callable[[Sequence[Array]], list[float]]
"""Of candidates: the objective of each, of which less is better."""


class Strategy(NamedTuple):
    """How a search goes."""

    pairs: int = 8
    deviation: float = 0.1
    """Of perturbations."""
    rate: float = 0.05
    """Of Adam, on parameters."""
    seed: int = 0


class State(NamedTuple):
    """The state of a search after some generations."""

    number: int
    mean: Array
    first: Array
    second: Array
    objective: float
    """Mean over the last generation's candidates; NaN before the first."""

    @classmethod
    def start(cls, mean: Array) -> "State":
        """Return the state before the first generation."""
        return cls(0, mean, np.zeros_like(mean), np.zeros_like(mean), float("nan"))


class Evolved(NamedTuple):
    """What a search has found."""

    mean: Array
    """Of the last generation."""
    curve: list[float]
    """The mean objective of each generation's candidates."""


def evolve(
    start: Array,
    evaluate: Evaluate,
    *,
    generations: int,
    strategy: Strategy,
) -> Evolved:
    """Search from a point."""
    state = State.start(start)
    curve = []
    for _ in range(generations):
        state = next_generation(state, evaluate, strategy)
        curve.append(state.objective)
    return Evolved(state.mean, curve)


def next_generation(state: State, evaluate: Evaluate, strategy: Strategy) -> State:
    """Return the state after one more generation."""
    draws = perturbations(state, strategy)
    shifts = strategy.deviation * draws
    candidates = [state.mean + sign * shift for shift in shifts for sign in (1, -1)]
    objectives = np.array(evaluate(candidates)).reshape(-1, 2)
    ranks = _centred_ranks(objectives)
    gradient = ((ranks[:, 0] - ranks[:, 1])[:, None] * draws).mean(axis=0) / strategy.deviation
    number = state.number + 1
    first = _FIRST_MEMORY * state.first + (1 - _FIRST_MEMORY) * gradient
    second = _SECOND_MEMORY * state.second + (1 - _SECOND_MEMORY) * gradient**2
    step = (first / (1 - _FIRST_MEMORY**number)) / (
        np.sqrt(second / (1 - _SECOND_MEMORY**number)) + _EPSILON
    )
    mean = state.mean - strategy.rate * step
    return State(number, mean, first, second, float(objectives.mean()))


def perturbations(state: State, strategy: Strategy) -> Array:
    """Return the draws of the next generation [pairs, parameters]: the same ones every time."""
    stream = np.random.default_rng(derive_seed("evolution", strategy.seed, state.number))
    return stream.standard_normal((strategy.pairs, len(state.mean)))


def _centred_ranks(values: Array) -> Array:
    """Return ranks scaled to -1/2 ... 1/2, of equals their mean; what is no number is the worst."""
    ranks = scipy.stats.rankdata(np.where(np.isfinite(values), values, np.inf))
    centred: Array = ((ranks - 1) / (values.size - 1) - 0.5).reshape(values.shape)
    return centred
