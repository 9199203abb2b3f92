"""The prior's law: fixed functions of optimizer, horizon and width."""

import json

import pytest
import torch

from tune_metalr.metalr.prior import (
    PRIOR_FILE,
    Family,
    Prior,
    family_of,
    priors,
    shape,
    width_of,
)
from tune_metalr.methods import CONTROLLERS, method_revision
from tune_metalr.methods.nadamw import NAdamW


def test_the_shape_is_a_line_up_and_a_line_down() -> None:
    factors = [shape(step, 10, 0.4) for step in range(12)]
    up, down = [0.25, 0.5, 0.75, 1.0], [1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert factors == pytest.approx([*up, *down, 1 / 6, 1 / 6])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_runs_have_a_rate_in_every_step(steps) -> None:
    for warmup in (0.0, 0.25, 0.9):
        assert all(0 < shape(step, steps, warmup) <= 1 for step in range(steps))
    assert shape(0, 1, 0.25) == 1


def test_the_peak_follows_a_power_of_the_horizon() -> None:
    prior = Prior(
        rate_at_1000_steps=2e-3, rate_exponent=-0.5, warmup_fraction=0.1, weight_decay=0.1
    )
    assert prior.peak_rate(1000) == 2e-3
    assert prior.peak_rate(4000) == pytest.approx(1e-3)


def test_a_wider_network_has_a_lower_peak() -> None:
    prior = Prior(2e-3, 0.0, 0.1, 0.1, width_exponent=-0.5)
    assert prior.peak_rate(1000) == prior.peak_rate(1000, width=100) == 2e-3
    assert prior.peak_rate(1000, width=400) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("module", "width"),
    [
        (torch.nn.Linear(30, 7), 30),
        (torch.nn.Conv2d(5, 8, 3), 45),
        (torch.nn.LSTM(20, 33), 33),
        (torch.nn.Embedding(1000, 12), 12),
        (torch.nn.Sequential(torch.nn.Linear(64, 500), torch.nn.Linear(500, 2)), 500),
        (torch.nn.BatchNorm1d(77), 100),  # nothing is known
        (torch.nn.ParameterList([torch.zeros(7, 0)]), 100),
    ],
)
def test_the_width_is_the_most_inputs_of_a_unit(module, width) -> None:
    assert width_of(module.parameters()) == width


def test_sgd_is_a_family_of_its_own() -> None:
    weight = [torch.nn.Parameter(torch.ones(1))]
    assert family_of(torch.optim.SGD(weight, lr=1.0)) is Family.SGD_MOMENTUM
    for optimizer in (torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adam, NAdamW):
        assert family_of(optimizer(weight)) is Family.ADAM


@pytest.mark.parametrize("family", Family)
def test_what_is_shipped_is_sane(family) -> None:
    prior = priors()[family]
    assert 1e-4 < prior.rate_at_1000_steps < 30
    assert -1 <= prior.rate_exponent <= 1
    assert -1 <= prior.width_exponent <= 0
    assert 0 <= prior.warmup_fraction <= 0.5
    assert 0 <= prior.weight_decay <= 1


def test_another_prior_is_another_method(monkeypatch, tmp_path) -> None:
    before = method_revision("adamw", "constant", "metalr")
    fixed = method_revision("adamw", "constant", "fixed")
    content = json.loads(PRIOR_FILE.read_text())
    other_record, other_law = tmp_path / "record.json", tmp_path / "law.json"
    other_record.write_text(json.dumps(content | {"record": {}}))
    content["families"]["adam"]["weight_decay"] = 0.5
    other_law.write_text(json.dumps(content))
    monkeypatch.setattr("tune_metalr.methods._PRIOR_FILE", other_record)
    assert method_revision("adamw", "constant", "metalr") == before
    monkeypatch.setattr("tune_metalr.methods._PRIOR_FILE", other_law)
    assert method_revision("adamw", "constant", "metalr") != before
    assert method_revision("adamw", "constant", "fixed") == fixed
    assert {name for name, kind in CONTROLLERS.items() if kind.has_prior} == {"prior", "metalr"}
