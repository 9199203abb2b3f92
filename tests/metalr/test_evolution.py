"""Evolution strategies find a known optimum, whatever noise pairs share."""

import math

import numpy as np
import pytest

from tune_metalr.metalr.meta_training.evolution import (
    State,
    Strategy,
    evolve,
    next_generation,
)

OPTIMUM = np.array([1.0, -0.5, 0.25])
STRATEGY = Strategy(pairs=6, deviation=0.1, rate=0.05, seed=3)


def bowl(candidates):
    """Return the distance to the optimum, with luck that all of a generation share."""
    luck = float(np.random.default_rng(int(1e6 * abs(candidates[0][0]))).normal())
    return [luck + float(((candidate - OPTIMUM) ** 2).sum()) for candidate in candidates]


def test_the_optimum_is_found() -> None:
    found = evolve(np.zeros(3), bowl, generations=120, strategy=STRATEGY)
    assert found.mean == pytest.approx(OPTIMUM, abs=0.1)
    assert len(found.curve) == 120


def test_where_nothing_matters_nothing_is_moved() -> None:
    found = evolve(np.zeros(3), lambda some: [3.0] * len(some), generations=50, strategy=STRATEGY)
    assert np.array_equal(found.mean, np.zeros(3))


def test_the_curve_is_the_mean_of_candidates() -> None:
    found = evolve(np.zeros(3), lambda some: [3.0] * len(some), generations=2, strategy=STRATEGY)
    assert found.curve == [3.0, 3.0]


def test_a_run_without_a_result_is_the_worst_and_no_more() -> None:
    def failing(candidates):
        objectives = bowl(candidates)
        return [math.nan, *objectives[1:]]

    def bad(candidates):
        return [1e9, *bowl(candidates)[1:]]

    start = State.start(np.zeros(3))
    found = [next_generation(start, evaluate, STRATEGY).mean for evaluate in (failing, bad)]
    assert np.array_equal(*found)


def test_another_seed_draws_others() -> None:
    start = State.start(np.zeros(3))
    means = [next_generation(start, bowl, STRATEGY._replace(seed=seed)).mean for seed in (0, 0, 1)]
    assert np.array_equal(means[0], means[1])
    assert not np.array_equal(means[0], means[2])
