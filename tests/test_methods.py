"""Optimizers, schedules and the fixed controller."""

import inspect

import pytest
import torch

from tune_metalr.errors import UserError
from tune_metalr.methods import OPTIMIZERS, method_revision
from tune_metalr.methods.build import build_controller, build_optimizer
from tune_metalr.methods.fixed import FixedSchedule

NOT_KEYWORDS = {"self", "params", "lr", "maximize", "foreach", "capturable", "differentiable",
                "fused", "decoupled_weight_decay"}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_declared_keywords_are_those_of_torch(name, make_trial):
    optimizer = build_optimizer(
        make_trial(optimizer=name, hyperparameters={"lr": 0.1}), [torch.nn.Parameter(torch.ones(1))]
    )
    takes = set(inspect.signature(type(optimizer).__init__).parameters) - NOT_KEYWORDS
    assert takes == set(OPTIMIZERS[name].keywords)


def test_code_that_is_not_what_the_study_was_planned_on_is_refused(make_trial):
    trial = make_trial(optimizer="torch.optim.Adagrad", method_revision="torch-1.0-1-1")
    with pytest.raises(UserError, match=r"was planned as torch-1\.0-1-1: install the same version"):
        build_optimizer(trial, [torch.nn.Parameter(torch.ones(1))])
    missing = make_trial(optimizer="nowhere.Thing", method_revision="1-1-1")
    with pytest.raises(UserError, match="no module 'nowhere' is installed"):
        build_optimizer(missing, [torch.nn.Parameter(torch.ones(1))])


def test_hyperparameters_reach_the_optimizer(make_trial):
    trial = make_trial(
        optimizer="adam",
        hyperparameters={"lr": 0.1, "betas": [0.8, 0.9], "clip_norm": 1.0, "warmup_fraction": 0.1},
    )
    group = build_optimizer(trial, [torch.nn.Parameter(torch.ones(1))]).param_groups[0]
    assert group["lr"] == 0.1
    assert group["betas"] == (0.8, 0.9)


def controller(schedule="cosine", total_steps=8):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    built = FixedSchedule(optimizer, total_steps, schedule=schedule, warmup_fraction=0.25)
    return built, weight


def train(controller, weight, steps):
    rates = []
    for _ in range(steps):
        controller.optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        controller.step(loss)
        rates.append(controller.learning_rate)
    return rates


def test_the_recorded_rate_is_the_one_that_was_used():
    fixed, weight = controller()
    before = weight.detach().clone()
    (rate,) = train(fixed, weight, 1)
    assert rate == 0.05
    assert torch.equal(weight, before - 0.05 * 2 * before)


def test_a_resumed_controller_goes_on_bit_for_bit():
    whole, whole_weight = controller()
    rates = train(whole, whole_weight, 8)
    first, weight = controller()
    begun = train(first, weight, 3)
    second, second_weight = controller()
    second_weight.data.copy_(weight)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert second.learning_rate == begun[-1]
    assert begun + train(second, second_weight, 5) == rates
    assert torch.equal(second_weight, whole_weight)


def test_each_parameter_group_keeps_its_own_rate():
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    groups = [{"params": [weights[0]], "lr": 1.0}, {"params": [weights[1]], "lr": 2.0}]
    optimizer = torch.optim.SGD(groups)
    fixed = FixedSchedule(optimizer, 4, warmup_fraction=0.5)
    fixed.step(torch.zeros(()))
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0]


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="total_steps must be at least 1"):
        controller(total_steps=0)


def test_a_trial_builds_its_controller(make_trial):
    trial = make_trial(schedule="cosine", hyperparameters={"lr": 0.1, "warmup_fraction": 0.5})
    optimizer = build_optimizer(trial, [torch.nn.Parameter(torch.ones(1))])
    assert build_controller(trial, optimizer, total_steps=4).learning_rate == 0.05


def test_the_revision_names_all_three_parts():
    assert method_revision("sgd", "constant", "fixed").count("-") == 2


class Switched(torch.optim.SGD):
    """Keeps evaluation weights of its own, as Schedule-Free's optimizers do."""

    mode = "eval"

    def train(self):
        self.mode = "train"

    def eval(self):
        self.mode = "eval"


def test_an_optimizer_with_evaluation_weights_is_switched():
    optimizer = Switched([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    fixed = FixedSchedule(optimizer, 4)
    assert (fixed.swaps_weights, optimizer.mode) == (True, "train")
    with fixed.evaluation():
        assert optimizer.mode == "eval"
    assert optimizer.mode == "train"
    plain, _ = controller()
    assert not plain.swaps_weights


def test_a_plateau_survives_a_resume():
    settings = {"plateau_factor": 0.5, "plateau_patience": 0.0}

    def build():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
        return FixedSchedule(optimizer, 9, schedule="reduce-on-plateau", settings=settings)

    first, second = build(), build()
    first.end_epoch(1.0)
    first.end_epoch(1.0)
    second.load_state_dict(first.state_dict())
    second.end_epoch(2.0)
    second.step(torch.zeros(()))
    assert second.learning_rate == 0.25
