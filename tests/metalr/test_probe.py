"""The probe: on a quadratic, sigma is the curvature along the step over the slope."""

import math

import pytest
import torch

from tests.metalr.problems import Quadratic
from tune_metalr.batch_loss import BatchLoss, BatchLosses
from tune_metalr.controller import step_leaving_gradients
from tune_metalr.metalr.probe import Probe, _reading

OPTIMIZERS = {
    "sgd": lambda weights, lr: torch.optim.SGD(weights, lr=lr),
    "momentum": lambda weights, lr: torch.optim.SGD(weights, lr=lr, momentum=0.9),
    "adamw": lambda weights, lr: torch.optim.AdamW(weights, lr=lr, weight_decay=0.1),
}


def probed(problem, optimizer, *, clip_norm=None, closure=None):
    batch_loss = BatchLoss(problem.loss)
    optimizer.zero_grad()
    loss = batch_loss()
    loss.backward()
    scale = 1.0
    if clip_norm is not None:
        norm = torch.nn.utils.clip_grad_norm_([problem.weight], clip_norm, foreach=False)
        scale = min(1.0, clip_norm / (float(norm) + 1e-6))
    gradient = problem.weight.grad.detach() / scale
    before = problem.weight.detach().clone()
    probe = Probe([problem.weight])
    step_leaving_gradients(optimizer)
    reading = probe.read(loss, closure or batch_loss, gradient_scale=scale)
    moved = before - problem.weight.detach()
    curved = float((moved * problem.times * problem.curvatures * moved).sum())
    slope = float((gradient * moved).sum())
    return reading, curved / slope if slope else None, probe, before


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-5), (torch.float32, 1e-3)])
def test_sigma_is_what_the_hessian_says(make, dtype, error) -> None:
    problem = Quadratic((0.5, 2.0, 7.0), dtype=dtype)
    optimizer = make([problem.weight], 0.01)
    for _ in range(4):
        reading, expected, _, _ = probed(problem, optimizer)
        assert reading.foretold > 0
        assert reading.sigma == pytest.approx(expected, rel=error, abs=error)


def test_sigma_has_no_unit() -> None:
    sigmas = [
        probed(problem, torch.optim.SGD([problem.weight], lr=0.1 / times))[0].sigma
        for times in (1e-2, 1.0, 1e2)
        for problem in [Quadratic(times=times)]
    ]
    assert sigmas == pytest.approx([sigmas[0]] * 3)


def test_clipping_changes_the_step_but_not_what_is_foretold() -> None:
    problem = Quadratic((1.0, 5.0), start=2.0)
    reading, expected, _, _ = probed(
        problem, torch.optim.SGD([problem.weight], lr=0.3), clip_norm=0.5
    )
    assert reading.sigma == pytest.approx(expected, rel=1e-5)


def test_a_step_uphill_says_nothing() -> None:
    problem = Quadratic()
    reading, _, _, _ = probed(problem, torch.optim.SGD([problem.weight], lr=0.01, maximize=True))
    assert reading.sigma is None
    assert not reading.has_failed


def test_a_step_that_the_loss_cannot_resolve_says_nothing() -> None:
    problem = Quadratic(dtype=torch.float32)
    reading, _, _, _ = probed(problem, torch.optim.SGD([problem.weight], lr=1e-8))
    assert reading.sigma is None
    assert reading.foretold > 0


def test_zero_gradients_say_nothing() -> None:
    problem = Quadratic(start=0.0)
    reading, _, _, _ = probed(problem, torch.optim.SGD([problem.weight], lr=0.1))
    assert reading == (0.0, 0.0, False, False)
    assert reading.sigma is None


@pytest.mark.parametrize("lr", [10.0, 1e200])
def test_a_step_far_too_long_has_failed_and_can_be_taken_back(lr) -> None:
    problem = Quadratic()
    reading, _, probe, before = probed(problem, torch.optim.SGD([problem.weight], lr=lr))
    assert reading.has_failed
    probe.undo()
    assert torch.equal(problem.weight, before)


@pytest.mark.parametrize(("lr", "has_failed"), [(2.2, False), (2.5, True), (4.0, True)])
def test_a_step_that_raises_the_loss_by_half_has_failed(lr, has_failed) -> None:
    problem = Quadratic((1.0, 1.0))  # a step multiplies the loss by (1 - lr)**2
    reading, _, _, _ = probed(problem, torch.optim.SGD([problem.weight], lr=lr))
    assert reading.has_failed is has_failed


@pytest.mark.parametrize("foreach", [False, True])
def test_nesterovs_momentum_leaves_the_gradient_alone(foreach) -> None:
    problem = Quadratic((0.5, 2.0))
    optimizer = torch.optim.SGD(
        [problem.weight], lr=0.02, momentum=0.9, nesterov=True, foreach=foreach
    )
    for _ in range(4):
        reading, expected, _, _ = probed(problem, optimizer)
        assert reading.sigma == pytest.approx(expected, rel=1e-5)
        assert optimizer.param_groups[0]["foreach"] is foreach


def test_a_step_across_the_slope_that_does_little_harm_has_not_failed() -> None:
    reading = _reading(2.0, 2.01, foretold=1e-3, resolution=1e-5)
    assert reading.sigma == pytest.approx(22.0)
    assert not reading.has_failed


def test_a_loss_that_is_no_number_afterwards_has_failed() -> None:
    problem = Quadratic()
    reading, _, _, _ = probed(
        problem,
        torch.optim.SGD([problem.weight], lr=0.1),
        closure=lambda: torch.tensor(math.nan),
    )
    assert reading.has_failed


def test_a_probe_holds_one_copy_of_the_weights() -> None:
    weight = torch.nn.Parameter(torch.ones(1000))
    weight.sum().backward()
    held = [value for value in vars(Probe([weight])).values() if value[0] is not weight]
    own = [tensor for values in held for tensor in values if tensor is not weight.grad]
    assert sum(tensor.numel() for tensor in own) == weight.numel()


@pytest.mark.parametrize("as_parts", [False, True])
def test_in_autocast_a_small_step_says_nothing(as_parts) -> None:
    readings = []
    for enabled in (False, True):
        problem = Quadratic(dtype=torch.float32)
        optimizer = torch.optim.SGD([problem.weight], lr=1e-4)
        batch_loss = BatchLoss(problem.loss)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = batch_loss()
        loss.backward()
        probe = Probe([problem.weight])
        optimizer.step()
        closure = BatchLosses([batch_loss, batch_loss]) if as_parts else batch_loss
        readings.append(probe.read(loss, closure, gradient_scale=1.0))
    assert [reading.is_resolved for reading in readings] == [True, False]


def test_a_complex_weight_counts_as_its_two_parts() -> None:
    parts = torch.nn.Parameter(torch.tensor([[3.0, -1.0], [0.5, 2.0]]))
    whole = torch.nn.Parameter(torch.view_as_complex(parts.detach().clone()))
    readings, sizes = [], []
    for weight in (parts, whole):
        optimizer = torch.optim.SGD([weight], lr=0.1)

        def loss_of(weight=weight):
            return weight.abs().square().sum()

        loss = loss_of()
        loss.backward()
        probe = Probe([weight])
        optimizer.step()
        readings.append(probe.read(loss, loss_of, gradient_scale=1.0))
        sizes.append(probe.measure(gradient_scale=1.0))
    assert readings[0].foretold == pytest.approx(readings[1].foretold)
    assert readings[0].sigma == pytest.approx(readings[1].sigma, rel=1e-5)
    assert sizes[0] == pytest.approx(sizes[1])
    assert sizes[0].num_weights == 4
