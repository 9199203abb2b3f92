"""Imagined runs: where a residual leads on the grid, and what that costs."""

import math

import pytest
import torch

from tests.metalr.test_early import ABOUT, LAW, OPTIMA
from tests.metalr.test_early import outcomes as made_outcomes  # noqa: F401
from tune_metalr.metalr.meta_training.imagined import ask, imagined_runs, regret_of_move
from tune_metalr.metalr.meta_training.surface import surfaces
from tune_metalr.metalr.prior import Family
from tune_metalr.metalr.residual import Range, Residual


@pytest.fixture(scope="module")
def runs(made_outcomes):  # noqa: F811
    flat = surfaces(
        made_outcomes,
        Family.ADAM,
        about=ABOUT,
    )
    spread = [o._replace(features=[o.features[0]] * 16) for o in made_outcomes]
    return imagined_runs(spread, flat, Family.ADAM, LAW)


def test_there_is_a_run_for_each_task_and_seed(runs) -> None:
    assert [run.surface.task for run in runs] == sorted(OPTIMA)


def test_features_are_those_at_the_rate_that_is_asked_for(runs) -> None:
    for run in runs:
        seen = run.features_at(math.log(6e-3))
        assert seen.sigma == pytest.approx(0.3 * math.log(6e-3 / OPTIMA[run.surface.task]))
        assert math.isnan(seen.foretold)


def test_a_move_to_the_best_rate_has_the_least_regret(runs) -> None:
    for run in runs:
        best = math.log(OPTIMA[run.surface.task] / LAW.peak_rate(1000))
        moves = (best - 1, best, best + 1)
        assert min(moves, key=lambda move: regret_of_move(run, LAW, move)) == best


def untrained(**ranges):
    return Residual.untrained(ranges, seed=0)


def test_the_regret_of_moves_is_that_of_where_they_lead(runs) -> None:
    asked = ask(runs, LAW, untrained(sigma=Range(0.0, 1.0, -9.0, 9.0)))
    still, knowing = (
        asked.mean_regret([move(run) for run in runs])
        for move in (
            lambda run: 0.0,
            lambda run: -run.features_at(math.log(LAW.peak_rate(1000))).sigma / 0.3,
        )
    )
    assert still == pytest.approx(sum(regret_of_move(run, LAW, 0.0) for run in runs) / len(runs))
    assert knowing < 0.1 * still


def test_what_is_asked_is_what_a_run_would_ask(runs) -> None:
    residual = untrained(sigma=Range(0.0, 0.1, -0.3, 0.1), horizon=Range(0.0, 1.0, -1.0, 1.0))
    residual = residual.with_vector(torch.linspace(-1, 1, len(residual.vector())))
    moves = ask(runs, LAW, residual).moves(residual)
    alone = [
        residual.log_move(
            run.features_at(math.log(LAW.peak_rate(run.surface.steps))),
            total_steps=run.surface.steps,
        )
        for run in runs
    ]
    assert moves == pytest.approx(alone)
    assert 0.0 in alone
    assert len(set(alone)) > 2
