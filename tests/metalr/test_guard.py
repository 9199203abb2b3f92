"""The guard: what counts as a blow-up, what does not, and that nothing is lost by either."""

import copy
import io
import math

import pytest
import torch

from tests.metalr.problems import Quadratic, train
from tune_metalr import MetaLR
from tune_metalr.batch_loss import BatchLoss
from tune_metalr.metalr.guard import KEPT_EVERY, Guard

STEPS = 400
BEGUN = 3 * KEPT_EVERY + 5


class Batches(Quadratic):
    """A quadratic whose batches differ, seen by the loss that one adds to all weights' loss."""

    added = 1.0

    def loss(self) -> torch.Tensor:
        return super().loss() + self.added


def start(problem, steps=STEPS):
    return MetaLR(torch.optim.AdamW([problem.weight], lr=1e-3), steps, initial_lr=1e9)


@pytest.fixture
def begun():
    problem = Batches(start=2.0)
    metalr = start(problem)
    train(metalr, problem, BEGUN)
    return metalr, problem


def blow_up(problem, value=30.0) -> None:
    problem.weight.data.fill_(value)


def test_after_a_blow_up_the_weights_are_those_of_some_steps_before(begun) -> None:
    metalr, problem = begun
    kept = metalr._guard.kept([problem.weight])[0].clone()
    looks = metalr.forward_evaluations
    blow_up(problem)
    train(metalr, problem, 1)
    assert torch.equal(problem.weight, kept)
    assert metalr.forward_evaluations == looks + 1
    assert metalr.scale == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_weights_that_are_no_numbers_are_put_back(begun, value) -> None:
    metalr, problem = begun
    kept = metalr._guard.kept([problem.weight])[0].clone()
    blow_up(problem, value)
    train(metalr, problem, 1)
    assert torch.equal(problem.weight, kept)
    assert metalr.skipped_steps == 1
    losses = train(metalr, problem, 100).losses
    assert losses[-1] < losses[0]


def test_the_rate_is_the_old_one_after_some_steps(begun) -> None:
    metalr, problem = begun
    blow_up(problem)
    train(metalr, problem, 1)
    scales = []
    for _ in range(64):
        train(metalr, problem, 1)
        scales.append(metalr.scale)
    assert scales == sorted(scales)
    assert scales[30] == pytest.approx(0.5**0.5, rel=0.05)
    assert scales[-1] == pytest.approx(1)


def test_blow_ups_in_a_row_lower_the_rate_further(begun) -> None:
    metalr, problem = begun
    for _ in range(3):
        blow_up(problem)
        train(metalr, problem, 1)
    assert metalr.scale == pytest.approx(1 / 8, rel=0.05)
    for _ in range(200):
        blow_up(problem)
        train(metalr, problem, 1)
    assert metalr.scale > 0


def test_a_hard_batch_is_no_blow_up(begun) -> None:
    metalr, problem = begun
    before, looks = problem.weight.detach().clone(), metalr.forward_evaluations
    problem.added = 50.0
    train(metalr, problem, 1)
    assert metalr.forward_evaluations == looks + 1
    assert metalr.scale == 1
    other = Batches(start=2.0)
    beside = start(other)
    train(beside, other, BEGUN)
    other.added = 50.0
    train(beside, other, 1, closure=False)
    assert not torch.equal(problem.weight, before)
    assert torch.equal(problem.weight, other.weight)  # as if nobody had looked


def test_a_batch_that_is_no_number_anywhere_is_left_out(begun) -> None:
    metalr, problem = begun
    before = problem.weight.detach().clone()
    problem.added = math.nan
    train(metalr, problem, 1)
    assert torch.equal(problem.weight, before)
    assert metalr.scale == 1


def test_tiny_losses_may_rise_by_any_factor() -> None:
    problem = Batches(start=20.0)
    problem.added = 0.0
    metalr = start(problem)
    train(metalr, problem, 15)
    problem.weight.data.fill_(1e-3)
    train(metalr, problem, 100)
    looks, before = metalr.forward_evaluations, problem.weight.detach().clone()
    problem.weight.data.fill_(1.0)
    train(metalr, problem, 1)
    assert metalr.forward_evaluations == looks
    assert not torch.equal(problem.weight, before)


def test_without_a_closure_nothing_is_put_back(begun) -> None:
    metalr, problem = begun
    blow_up(problem)
    train(metalr, problem, 1, closure=False)
    assert (problem.weight > 20).all()


def test_it_resumes_bit_for_bit_with_a_blow_up_behind_and_one_ahead(begun) -> None:
    def go_on(metalr, problem):
        blow_up(problem)
        return train(metalr, problem, 60).rates

    metalr, problem = begun
    go_on(metalr, problem)
    file = io.BytesIO()
    torch.save([metalr.state_dict(), copy.deepcopy(metalr.optimizer.state_dict())], file)
    file.seek(0)
    state, optimizer_state = torch.load(file, weights_only=True)
    second = Batches()
    second.weight.data.copy_(problem.weight)
    resumed = start(second)
    resumed.optimizer.load_state_dict(optimizer_state)
    resumed.load_state_dict(state)
    assert go_on(resumed, second) == go_on(metalr, problem)
    assert torch.equal(second.weight, problem.weight)


def test_moments_that_are_no_numbers_are_forgotten(begun) -> None:
    metalr, problem = begun
    blow_up(problem, math.nan)
    metalr.optimizer.state[problem.weight]["exp_avg"].fill_(math.nan)
    losses = train(metalr, problem, 100).losses
    assert math.isnan(losses[0])
    assert all(map(math.isfinite, losses[1:]))
    assert losses[-1] < losses[1]


def test_a_closure_that_raises_leaves_the_weights_as_they_were(begun) -> None:
    metalr, problem = begun
    blow_up(problem)

    def closure():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        metalr.step(problem.loss(), closure)
    assert (problem.weight == 30.0).all()


def test_frozen_weights_are_not_copied_and_shared_ones_once() -> None:
    trained, frozen = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(99))
    frozen.requires_grad_(False)
    metalr = MetaLR(torch.optim.AdamW([trained, frozen], lr=1e-3), 10)
    metalr._guard.keep()
    assert [kept.numel() for kept in metalr.state_dict()["guard"]["kept"]] == [3]
    frozen.requires_grad_(True)
    metalr._guard.keep()
    assert [kept.numel() for kept in metalr.state_dict()["guard"]["kept"]] == [3, 99]


def test_a_weight_that_is_frozen_with_its_gradient_in_place_is_stepped_as_before(begun) -> None:
    metalr, problem = begun
    batch_loss = BatchLoss(problem.loss)
    metalr._step = 63  # one of those that are looked at
    loss = batch_loss()
    loss.backward()
    before = problem.weight.detach().clone()
    problem.weight.requires_grad_(False)
    metalr.step(loss, batch_loss)
    assert not torch.equal(problem.weight, before)


def test_a_state_of_another_layout_and_kind_is_taken_over() -> None:
    def start(weight):
        return MetaLR(torch.optim.AdamW([torch.nn.Parameter(weight)], lr=1e-3), 10)._guard

    first = start(torch.randn(2, 3, 4, 5, dtype=torch.float64))
    first.keep()
    second = start(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last))
    second.load_state_dict(first.state_dict())
    (kept,) = second.kept(second._weights)
    assert kept.dtype == torch.float32
    assert kept.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(kept, first._kept[0].float())


def test_looking_back_leaves_weights_of_any_layout_as_they_are() -> None:
    weights = [
        torch.nn.Parameter(torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last)),
        torch.nn.Parameter(torch.randn(300, 1000)),
        torch.nn.Parameter(torch.randn(10, 20)[:, ::2]),
        torch.nn.Parameter(torch.randn(())),
    ]
    metalr = MetaLR(torch.optim.AdamW(weights, lr=1e-3), 10)
    guard = metalr._guard
    guard.keep()
    kept = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.data.add_(1.0)
    moved = [weight.detach().clone() for weight in weights]
    loss = BatchLoss(lambda: sum((weight**2).sum() for weight in weights) * 0 + 1)
    assert not guard.puts_back(1.0, loss)
    assert all(map(torch.equal, weights, moved))
    assert guard.puts_back(2.0, loss)
    assert all(map(torch.equal, weights, kept))


@pytest.mark.parametrize("at", [62, 63])  # an ordinary step, and one that is looked at
@pytest.mark.parametrize("family", ["adamw", "sgd"])
def test_a_gradient_that_is_no_number_costs_some_steps_not_the_run(family, at) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    if family == "adamw":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    metalr = MetaLR(optimizer, 200)
    losses = []
    for step in range(200):
        inputs = torch.randn(32, 4)
        batch_loss = BatchLoss(
            lambda inputs=inputs: (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
        )
        loss = batch_loss()
        optimizer.zero_grad()
        loss.backward()
        if step == at:
            model.weight.grad[0, 0] = math.nan
        metalr.step(loss, batch_loss)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[at] / 2
    assert metalr.scale > 0.1


def test_a_state_goes_to_the_weights_that_it_is_of_whatever_is_frozen_by_then() -> None:
    def guard(frozen):
        weights = [torch.nn.Parameter(torch.full((2,), float(n))) for n in range(2)]
        weights[frozen].requires_grad_(False)
        return Guard(torch.optim.SGD(weights, lr=0.1)), weights

    first, _ = guard(frozen=0)
    first.keep()
    second, weights = guard(frozen=1)
    second.load_state_dict(first.state_dict())
    assert second._weights[0] is weights[1]
    assert second._kept[0].tolist() == [1.0, 1.0]


def test_a_layer_that_was_frozen_meanwhile_is_not_put_back() -> None:
    trained, frozen = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    guard = Guard(torch.optim.SGD([trained, frozen], lr=0.1))
    guard.keep()
    frozen.requires_grad_(False)
    for weight in (trained, frozen):
        weight.data.fill_(30.0)
    assert guard.puts_back(30.0, lambda: trained.square().mean())
    assert (trained == 1).all()
    assert (frozen == 30).all()


def test_a_step_without_a_closure_lets_go_of_the_weights_of_before(begun) -> None:
    metalr, problem = begun
    train(metalr, problem, 1, closure=False)
    blow_up(problem)
    train(metalr, problem, 1)
    assert float(problem.weight.detach().abs().min()) > 20
