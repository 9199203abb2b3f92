"""What all controllers share: the checks at their beginning, and rates of groups."""

import math

import numpy as np
import pytest
import torch

from tune_metalr import AsOptimizer, MetaLR
from tune_metalr.controller import GroupRates, step_leaving_gradients
from tune_metalr.metalr.prior_controller import PriorController


def weights(count=1):
    return [torch.nn.Parameter(torch.ones(2)) for _ in range(count)]


@pytest.mark.parametrize(
    "total_steps", [0, -1, 2.5, math.inf, None, "100", True, torch.tensor(2.5)]
)
def test_planned_steps_are_a_whole_number(total_steps) -> None:
    with pytest.raises(ValueError, match="total_steps must be at least 1, a whole number"):
        MetaLR(torch.optim.AdamW(weights()), total_steps)


def test_a_whole_number_of_numpy_will_do() -> None:
    assert MetaLR(torch.optim.AdamW(weights()), np.int64(10)).total_steps == 10


def test_an_optimizer_without_a_rate_is_refused() -> None:
    class Rateless(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

    with pytest.raises(ValueError, match=r"^Rateless has no learning rate that could be set$"):
        MetaLR(Rateless(weights()), 10)


def test_an_optimizer_that_needs_a_closure_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="LBFGS needs a closure in each step"):
        MetaLR(torch.optim.LBFGS(weights()), 10)


def test_what_is_no_optimizer_is_refused() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 1))
    with pytest.raises(TypeError, match=r"wraps a torch.optim.Optimizer, not Sequential$"):
        PriorController(model, 10)


def test_a_group_without_a_rate_stays_where_it_is() -> None:
    still, moving = weights(2)
    optimizer = torch.optim.SGD([{"params": [still], "lr": 0.0}, {"params": [moving], "lr": 0.1}])
    GroupRates(optimizer).set(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.5]


def test_a_group_that_is_added_later_keeps_its_ratio_too() -> None:
    first, added = weights(2)
    optimizer = torch.optim.SGD([first], lr=0.1)
    rates = GroupRates(optimizer)
    rates.set(0.5)
    optimizer.add_param_group({"params": [added], "lr": 0.2})
    for rate in (0.5, 0.25):
        rates.set(rate)
        assert [group["lr"] for group in optimizer.param_groups] == [rate, 2 * rate]


def test_where_no_group_has_a_rate_all_get_it() -> None:
    optimizer = torch.optim.SGD([{"params": [w]} for w in weights(2)], lr=0.0)
    GroupRates(optimizer).set(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]


@pytest.mark.parametrize("foreach", [True, False, None])
def test_a_step_leaves_gradients_and_settings_as_they_are(foreach) -> None:
    (weight,) = weights()
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, nesterov=True, foreach=foreach)
    for _ in range(3):
        weight.grad = torch.ones(2)
        step_leaving_gradients(optimizer)
        assert torch.equal(weight.grad, torch.ones(2))
        assert optimizer.param_groups[0]["foreach"] is foreach


def test_a_batch_that_a_framework_leaves_out_moves_nothing() -> None:
    (weight,) = weights()
    optimizer = AsOptimizer(MetaLR(torch.optim.AdamW([weight]), 10))
    weight.grad = torch.ones(2)
    assert optimizer.step(lambda: None) is None
    assert torch.equal(weight, torch.ones(2))


def test_a_warm_up_that_has_begun_at_0_hides_no_ratio() -> None:
    first, second = weights(2)
    optimizer = torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": [second], "lr": 0.2}])
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    assert optimizer.param_groups[0]["lr"] == 0
    GroupRates(optimizer).set(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0]


def test_a_group_that_a_scheduler_holds_at_0_stays_there() -> None:
    first, second = weights(2)
    optimizer = torch.optim.SGD([{"params": [first]}, {"params": [second]}], lr=0.1)
    torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: 0.01, lambda step: 0.0])
    GroupRates(optimizer).set(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.0]


def test_a_group_that_is_added_after_a_resume_has_the_ratio_of_the_whole_run() -> None:
    first, second = weights(2)
    saved = GroupRates(torch.optim.SGD([first], lr=0.1)).state_dict()
    optimizer = torch.optim.SGD([first], lr=0.003)
    rates = GroupRates(optimizer)
    rates.load_state_dict(saved)
    optimizer.add_param_group({"params": [second], "lr": 0.2})
    rates.set(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0]


def test_a_state_of_more_groups_is_refused() -> None:
    saved = GroupRates(torch.optim.SGD([{"params": [w]} for w in weights(2)], lr=0.1)).state_dict()
    with pytest.raises(ValueError, match="of 2 parameter groups, the optimizer has 1"):
        GroupRates(torch.optim.SGD(weights(), lr=0.1)).load_state_dict(saved)
