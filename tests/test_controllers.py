"""What every controller must do: one suite over all that a study can name."""

import math

import pytest
import torch

from tests.small_training import SmallNetwork, resumes_bit_for_bit, same, through_a_file
from tune_metalr.batch_loss import BatchLoss
from tune_metalr.methods import CONTROLLERS
from tune_metalr.methods.build import build_controller, build_optimizer

TOTAL_STEPS = 200
"""So many that the range test takes 20 of them."""


@pytest.fixture(params=CONTROLLERS)
def build(request, make_trial):
    """Build a controller as a trial does, around the optimizer that is given, or Adam."""

    def begin(parameters_or_optimizer, total_steps=TOTAL_STEPS, **hyperparameters):
        trial = make_trial(
            controller=request.param,
            optimizer="adam",
            hyperparameters={"lr": 1e-3} | hyperparameters,
        )
        optimizer = parameters_or_optimizer
        if not isinstance(optimizer, torch.optim.Optimizer):
            optimizer = build_optimizer(trial, optimizer)
        return build_controller(trial, optimizer, total_steps=total_steps)

    return begin


def usable(rates):
    return all(math.isfinite(rate) and rate > 0 for rate in rates)


def weights(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def drive(controller, parameters, steps):
    """Train by gradients that the test puts in place; return the rates."""
    rates = []
    for step in range(steps):
        for parameter in parameters:
            parameter.grad = parameter.detach().sin() + 0.01 * step
        controller.step(torch.tensor(1.0 / (step + 1)))
        rates.append(controller.learning_rate)
    return rates


def test_rates_are_usable_and_those_that_the_optimizer_sees(build):
    training = SmallNetwork()
    controller = build(training.model.parameters())
    planned = controller.learning_rate
    for step in range(40):
        (rate,) = training.train(controller, 1, first=step)
        assert usable([rate])
        assert controller.param_groups[0]["lr"] == rate
        assert step > 0 or rate == planned
    assert all(bool(torch.isfinite(bits).all()) for bits in training.bits())


@pytest.mark.parametrize("done", [0, 1, 13, 31])
def test_a_saved_state_resumes_bit_for_bit(build, done):
    assert resumes_bit_for_bit(build, done=done, to_come=12)


def test_the_same_seed_gives_the_same_rates(build):
    first, second = SmallNetwork(), SmallNetwork()
    rates = [training.train(build(training.model.parameters()), 30) for training in (first, second)]
    assert rates[0] == rates[1]
    assert same(first.bits(), second.bits())


def test_global_random_streams_stay_as_they_are(build):
    training = SmallNetwork()
    before = torch.get_rng_state()
    controller = build(training.model.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    for step in range(35):
        controller.optimizer.zero_grad()
        batch_loss = training.batch_loss(step)
        loss = batch_loss()
        loss.backward()
        before = torch.get_rng_state()
        controller.step(loss, batch_loss)
        assert torch.equal(torch.get_rng_state(), before)


def test_groups_keep_the_ratios_of_their_rates(build):
    first, second, third = weights((3,), (2, 2), (4,))
    optimizer = torch.optim.Adam(
        [
            {"params": [first], "lr": 1e-3},
            {"params": [second], "lr": 4e-3},
            {"params": [third], "lr": 5e-4},
        ]
    )
    controller = build(optimizer)
    for _ in range(30):
        (rate,) = drive(controller, [first, second, third], 1)
        assert [group["lr"] / rate for group in optimizer.param_groups] == pytest.approx(
            [1, 4, 0.5]
        )


def test_weights_that_are_frozen_or_have_no_gradient_do_not_move(build):
    moving, frozen, unused = weights((3,), (2, 2), (4,))
    frozen.requires_grad_(False)
    kept = [frozen.detach().clone(), unused.detach().clone()]
    controller = build(torch.optim.SGD([moving, frozen, unused], lr=1e-3, momentum=0.9))
    assert usable(drive(controller, [moving], 30))
    assert same(kept, [frozen.detach(), unused.detach()])


def test_sparse_gradients_are_no_mistake(build):
    embedding = torch.nn.Embedding(10, 3, sparse=True)
    # Weight decay is dense: torch's SGD has none for sparse gradients.
    controller = build(torch.optim.SGD(embedding.parameters(), lr=1e-3), weight_decay=0.0)
    for step in range(35):
        controller.optimizer.zero_grad()
        rows = torch.tensor([step % 10, 0, 0])

        def compute(rows=rows):
            return (embedding(rows) ** 2).mean()

        loss = compute()
        loss.backward()
        controller.step(loss, compute)
        assert usable([controller.learning_rate])


def test_a_step_without_any_gradient_is_no_mistake(build):
    controller = build(weights((3,), (2,)))
    controller.step(torch.tensor(1.0), lambda: torch.tensor(1.0))
    assert usable([controller.learning_rate])


def test_gradients_of_0_are_no_mistake(build):
    (weight,) = weights((3,))
    controller = build([weight])
    for _ in range(35):
        weight.grad = torch.zeros(3)
        controller.step(torch.tensor(1.0), lambda: torch.tensor(1.0))
        assert usable([controller.learning_rate])


@pytest.mark.parametrize("loss", [0.0, -2.0, 1e-40, 1e38])
def test_any_loss_is_borne(build, loss):
    (weight,) = weights((3,))
    controller = build([weight])
    for _ in range(35):
        weight.grad = weight.detach() * 0.1
        controller.step(torch.tensor(loss), lambda: torch.tensor(loss))
        assert usable([controller.learning_rate])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("first", [0, 17])
def test_a_loss_that_is_not_finite_leaves_a_rate(build, bad, first):
    (weight,) = weights((3,))
    controller = build([weight])
    drive(controller, [weight], first)
    for loss in (bad, bad, 1.0, 0.5, bad):
        weight.grad = torch.full((3,), bad if loss == bad else 0.1)
        controller.step(torch.tensor(loss), lambda loss=loss: torch.tensor(loss))
        assert usable([controller.learning_rate])
    drive(controller, [weight], 30)
    assert usable([controller.learning_rate])


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_a_gradient_that_is_not_finite_leaves_a_rate(build, bad, scale):
    (weight,) = weights((3,))
    controller = build([weight])
    for step in range(35):
        weight.grad = torch.tensor([0.1, bad if step % 8 == 0 else 0.1, 0.1])
        scale_now = scale if step % 8 == 0 else 1.0
        loss = torch.tensor(1.0)
        controller.step(loss, lambda: torch.tensor(1.0), gradient_scale=scale_now)
        assert usable([controller.learning_rate])


def test_one_step_is_a_training(build):
    training = SmallNetwork()
    before = [p.detach().clone() for p in training.model.parameters()]
    controller = build(training.model.parameters(), 1)
    assert usable(training.train(controller, 1))
    assert not same(before, list(training.model.parameters()))


@pytest.mark.parametrize("total_steps", [1, 100])
def test_more_steps_than_planned_are_no_mistake(build, total_steps):
    training = SmallNetwork()
    controller = build(training.model.parameters(), total_steps)
    assert usable(training.train(controller, total_steps + 15))


def test_an_epoch_can_end_at_any_time(build):
    training = SmallNetwork()
    controller = build(training.model.parameters())
    for loss in (math.nan, 0.0, 1.0):
        controller.end_epoch(loss)
        assert usable(training.train(controller, 2))


def test_an_evaluation_leaves_every_bit_as_it_was(build):
    training = SmallNetwork()
    controller = build(training.model.parameters())
    training.train(controller, 5)
    before = training.bits()
    with controller.evaluation():
        pass
    assert same(before, training.bits())


def test_each_look_at_a_loss_is_charged(build):
    training = SmallNetwork()
    controller = build(training.model.parameters())
    looks = 0

    def look():
        nonlocal looks
        looks += 1
        return torch.tensor(1.0)

    for step in range(40):
        controller.optimizer.zero_grad()
        loss = training.batch_loss(step)()
        loss.backward()
        controller.step(loss, BatchLoss(look) if step % 2 else look)
    assert controller.forward_evaluations == looks <= 0.5 * 40


def test_a_gradient_scaler_drives_it(build):
    training = SmallNetwork()
    controller = build(training.model.parameters())
    plain = SmallNetwork()
    expected = plain.train(build(plain.model.parameters()), 5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    rates = []
    for step in range(5):
        controller.optimizer.zero_grad()
        batch_loss = training.batch_loss(step)
        loss = batch_loss()
        scaler.scale(loss).backward()
        scaler.step(controller, loss, batch_loss)
        scaler.update()
        rates.append(controller.learning_rate)
    # A power of 2 leaves every digit as it was.
    assert rates == expected
    assert same(training.bits(), plain.bits())


def test_a_gradient_scaler_leaves_a_step_out(build):
    (weight,) = weights((3,))
    controller = build([weight])
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = weight.detach().clone()
    loss = (weight * math.inf).sum()
    scaler.scale(loss).backward()
    scaler.step(controller, loss)
    scaler.update()
    assert torch.equal(weight, before)
    assert usable([controller.learning_rate])


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, foreach=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, foreach=True),
    "adam-foreach": lambda p: torch.optim.Adam(p, lr=1e-3, foreach=True),
    "adam-fused": lambda p: torch.optim.Adam(p, lr=1e-3, fused=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-3),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_any_optimizer_is_driven_and_resumed(build, optimizer):
    def begin(parameters):
        return build(optimizer(parameters))

    assert resumes_bit_for_bit(begin, done=7, to_come=16)


def test_what_was_saved_holds_no_live_tensor(build):
    training = SmallNetwork()
    controller = build(training.model.parameters())
    training.train(controller, 12)
    saved = controller.state_dict()
    then = str(through_a_file(saved))
    training.train(controller, 15, first=12)
    assert str(saved) == then


def test_what_was_loaded_is_not_changed_by_training(build):
    training, other = SmallNetwork(), SmallNetwork()
    controller = build(training.model.parameters())
    training.train(controller, 12)
    saved = through_a_file(controller.state_dict())
    then = str(saved)
    resumed = build(other.model.parameters())
    resumed.load_state_dict(saved)
    other.train(resumed, 15, first=12)
    assert str(saved) == then
