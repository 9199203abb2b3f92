"""A controller in the optimizer's place: what it hears, what frameworks look at."""

import copy
import pickle
from functools import partial

import pytest
import torch

from tune_metalr import AsOptimizer, BatchLoss, MetaLR
from tune_metalr.controller import LearningRateController

STEPS = 6


class Recorder(LearningRateController):
    """Keeps what it is told, and steps at the rate 1 / (step + 1)."""

    def __init__(self, optimizer, total_steps=STEPS):
        super().__init__(optimizer, total_steps)
        self.told = []

    @property
    def learning_rate(self):
        return 1 / max(1, len(self.told))

    def step(self, loss, closure=None, *, gradient_scale=1.0):
        again = closure and closure().item()
        self.told.append((loss.item(), again, gradient_scale))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        self.optimizer.step()

    def state_dict(self):
        return {"told": list(self.told)}

    def load_state_dict(self, state):
        self.told = list(state["told"])


@pytest.fixture
def weight():
    return torch.nn.Parameter(torch.ones(1))


@pytest.fixture
def optimizer(weight):
    return AsOptimizer(Recorder(torch.optim.SGD([weight], lr=0.5, momentum=0.9)))


def loss_of(weight, factor=1.0):
    return (weight * factor).sum()


def test_what_is_heard_is_passed_on(optimizer, weight):
    batch_loss = BatchLoss(partial(loss_of, weight, 3.0))
    loss = batch_loss()
    optimizer.hear(loss, batch_loss)
    loss.backward()
    optimizer.hear_clipping(torch.tensor(3.0), 1.5)
    optimizer.step()
    ((heard, again, scale),) = optimizer.controller.told
    assert (heard, again) == (3.0, 3.0)
    assert scale == pytest.approx(0.5)
    assert weight.item() == -2.0


def test_gradients_below_the_norm_are_not_scaled(optimizer):
    optimizer.hear(torch.ones(()))
    optimizer.hear_clipping(0.7, 1.5)
    optimizer.step()
    assert optimizer.controller.told == [(1.0, None, 1.0)]


def test_nothing_is_heard_twice(optimizer):
    optimizer.hear(torch.ones(()))
    optimizer.hear_clipping(2.0, 1.0)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"^no loss: call hear\(loss\) before step\(\)"):
        optimizer.step()
    optimizer.hear(torch.ones(()))
    optimizer.step()
    assert optimizer.controller.told[1] == (1.0, None, 1.0)


def test_the_loss_that_a_closure_returns_is_taken(optimizer, weight):
    def closure():
        optimizer.zero_grad()
        loss = loss_of(weight)
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert optimizer.step(lambda: 0.25) == 0.25
    assert [told[:2] for told in optimizer.controller.told] == [(1.0, None), (0.25, None)]


def test_what_is_heard_within_the_closure_counts_more(optimizer):
    def closure():
        optimizer.hear(torch.tensor(2.0), lambda: torch.tensor(4.0))
        return torch.tensor(7.0)

    assert optimizer.step(closure=closure).item() == 7.0
    assert optimizer.controller.told == [(2.0, 4.0, 1.0)]


@pytest.mark.parametrize(("share", "factor"), [(None, 1 / 3), (1.0, 1.0), (0.5, 0.5)])
def test_parts_add_up(optimizer, share, factor):
    for value in (1.0, 2.0, 6.0):
        again = partial(torch.tensor, 10 * value)
        optimizer.hear(torch.tensor(value), again, parts=3, share=share)
    optimizer.step()
    ((loss, again, _),) = optimizer.controller.told
    assert loss == pytest.approx(9 * factor)
    assert again == pytest.approx(90 * factor)


def test_a_part_that_cannot_be_evaluated_again_spoils_the_whole(optimizer):
    optimizer.hear(torch.tensor(1.0), lambda: torch.tensor(1.0), parts=2)
    optimizer.hear(torch.tensor(3.0), parts=2)
    optimizer.step()
    assert optimizer.controller.told == [(2.0, None, 1.0)]


def test_of_a_step_that_was_left_out_nothing_stays(optimizer):
    for value in (100.0, 100.0, 1.0, 3.0):
        optimizer.hear(torch.tensor(value), parts=2)
    optimizer.step()
    assert optimizer.controller.told == [(2.0, None, 1.0)]


def test_groups_and_state_are_the_optimizers(optimizer, weight):
    assert isinstance(optimizer, torch.optim.Optimizer)
    within = optimizer.controller.optimizer
    optimizer.hear(loss_of(weight))
    loss_of(weight).backward()
    optimizer.step()
    assert optimizer.param_groups is within.param_groups
    assert optimizer.state is within.state
    assert optimizer.defaults is within.defaults
    assert optimizer.state[weight]["momentum_buffer"].item() == 1.0
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.item() == 0.0
    optimizer.zero_grad()
    assert weight.grad is None
    assert repr(optimizer).startswith("AsOptimizer of Recorder of SGD (")
    with pytest.raises(RuntimeError, match="before its controller is built"):
        optimizer.add_param_group({"params": []})
    with pytest.raises(AttributeError, match="'AsOptimizer' object has no attribute 'rate'"):
        _ = optimizer.rate


def test_hooks_are_called_once(optimizer):
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.hear(torch.ones(()))
    optimizer.step()
    assert calls == ["before", "after"]


def metalr_training(seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    return model, AsOptimizer(MetaLR(torch.optim.AdamW(model.parameters()), STEPS))


def train(model, optimizer, steps):
    rates = []
    for step in steps:
        torch.manual_seed(step)
        inputs = torch.randn(4, 3)
        optimizer.zero_grad()
        batch_loss = BatchLoss(lambda inputs=inputs: model(inputs).square().mean())
        loss = batch_loss()
        loss.backward()
        optimizer.hear(loss, batch_loss)
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def assert_equal(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    "move", [copy.deepcopy, lambda training: pickle.loads(pickle.dumps(training))]
)
def test_copies_go_on_alike(move):
    training = metalr_training()
    train(*training, range(3))
    moved = move(training)
    assert moved[1].controller.forward_evaluations == 2
    assert train(*training, range(3, 6)) == train(*moved, range(3, 6))
    assert_equal(training[0], moved[0])


def test_a_saved_state_goes_on_bit_for_bit(tmp_path):
    training = metalr_training()
    train(*training, range(3))
    torch.save(
        {"model": training[0].state_dict(), "optimizer": training[1].state_dict()}, tmp_path / "f"
    )
    state = torch.load(tmp_path / "f", weights_only=True)
    assert {"state", "param_groups"} < set(state["optimizer"])
    model, optimizer = metalr_training(seed=9)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    assert "controller" in state["optimizer"]
    assert train(*training, range(3, 6)) == train(model, optimizer, range(3, 6))
    assert_equal(training[0], model)


@pytest.mark.parametrize(
    "scheduler",
    [
        partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda step: 1.0),
        partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda step: 1e-9),
        AsOptimizer.scheduler,
    ],
)
def test_a_scheduler_beside_it_has_no_say(scheduler):
    plain, steered = metalr_training(), metalr_training()
    beside = scheduler(steered[1])
    for step in range(STEPS):
        assert train(*plain, [step]) == train(*steered, [step])
        beside.step()
    assert_equal(plain[0], steered[0])


def test_its_own_scheduler_reports_the_last_rate():
    model, optimizer = metalr_training()
    scheduler = optimizer.scheduler()
    for step in range(3):
        (rate,) = train(model, optimizer, [step])
        assert scheduler.get_last_lr() == [rate] == [optimizer.controller.learning_rate]
        scheduler.step()
        assert scheduler.get_last_lr() == [rate]
    again = optimizer.scheduler()
    again.load_state_dict(scheduler.state_dict())
    assert again.get_last_lr() == [rate]


def test_what_is_no_controller_is_refused(weight):
    with pytest.raises(TypeError, match=r"stands for a controller, as MetaLR, not for AdamW$"):
        AsOptimizer(torch.optim.AdamW([weight]))
