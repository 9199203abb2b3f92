"""The residual moves nothing untrained, nothing far from what it knows, and never far."""

import math

import pytest
import torch

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.residual import BOUND, HORIZON, Range, Residual

NAMES = (*Features._fields, HORIZON)
RANGES = {name: Range(0.0, 2.0, -4.0, 4.0) for name in NAMES}
SEEN = Features(*(0.3 * number for number in range(len(Features._fields))))


def trained(times=1.0):
    residual = Residual.untrained(RANGES, seed=0)
    stream = torch.Generator().manual_seed(1)
    vector = times * torch.randn(len(residual.vector()), generator=stream, dtype=torch.float64)
    return residual.with_vector(vector)


def move(residual, features=SEEN, total_steps=1000):
    return residual.log_move(features, total_steps=total_steps)


def test_untrained_it_moves_nothing() -> None:
    assert move(Residual.untrained(RANGES, seed=0)) == 0.0


def test_it_hears_features_and_horizon() -> None:
    residual = trained()
    moves = {
        move(residual),
        move(residual, SEEN._replace(sigma=1.7)),
        move(residual, total_steps=5000),
    }
    assert len(moves) == 3


def test_it_never_moves_far() -> None:
    assert abs(move(trained(times=100.0))) <= BOUND


def test_one_input_outside_is_clipped_and_more_stop_it() -> None:
    residual = trained()
    at_the_edge = move(residual, SEEN._replace(sigma=4.0))
    assert move(residual, SEEN._replace(sigma=40.0)) == at_the_edge != 0
    assert move(residual, SEEN._replace(sigma=40.0, foretold=-9.0)) == 0


def test_what_cannot_be_told_stops_it() -> None:
    assert move(trained(), SEEN._replace(sigma=math.nan)) == 0


def test_weights_come_back_from_a_small_file(tmp_path) -> None:
    residual = trained()
    file = tmp_path / "residual.safetensors"
    residual.save(file)
    again = Residual.read(file)
    assert again.ranges == residual.ranges
    assert torch.equal(again.vector(), residual.vector())
    assert move(again) == move(residual)
    assert file.stat().st_size < 100_000


def test_a_vector_makes_the_same_network() -> None:
    residual = trained()
    assert move(residual.with_vector(residual.vector())) == pytest.approx(move(residual), abs=0)
