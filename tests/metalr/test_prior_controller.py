"""The `prior` controller: its rates are the law, its weight decay the prior's."""

import math

import pytest
import torch

from tests.metalr.problems import Quadratic, train
from tune_metalr.metalr.prior import Family, Prior, priors, shape
from tune_metalr.metalr.prior_controller import PriorController
from tune_metalr.methods.nadamw import NAdamW

STEPS = 40


def law(family, unit=1.0, steps=STEPS):
    prior = priors()[family]
    peak = unit * prior.peak_rate(steps)
    return [peak * shape(step, steps, prior.warmup_fraction) for step in range(steps)]


def adamw(problem, **keywords):
    return torch.optim.AdamW([problem.weight], lr=0.1, **keywords)


def sgd(problem, lr=1.0, momentum=0.9):
    return torch.optim.SGD([problem.weight], lr=lr, momentum=momentum)


def test_under_adamw_the_rates_are_the_law() -> None:
    problem = Quadratic()
    controller = PriorController(adamw(problem), STEPS, initial_lr=1e9)
    assert train(controller, problem, STEPS).rates == pytest.approx(law(Family.ADAM))


def test_the_width_of_all_groups_together_counts() -> None:
    prior = Prior(1e-2, 0.0, 0.0, 0.1, width_exponent=-0.5)
    narrow, wide = torch.nn.Linear(100, 400), torch.nn.Linear(400, 1)
    groups = [{"params": layer.parameters()} for layer in (wide, narrow)]
    controller = PriorController(torch.optim.AdamW(groups), 1000, initial_lr=1e9, prior=prior)
    assert controller.learning_rate == pytest.approx(1e-2 / 2)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_under_sgd_the_unit_is_the_first_loss_and_what_momentum_leaves(momentum) -> None:
    problem = Quadratic(start=0.1)
    first_loss = float(problem.loss().detach())
    controller = PriorController(sgd(problem, momentum=momentum), STEPS, initial_lr=1e9)
    expected = law(Family.SGD_MOMENTUM, (1 - momentum) / first_loss)
    assert train(controller, problem, STEPS).rates == pytest.approx(expected)


@pytest.mark.parametrize("make", [adamw, sgd])
def test_equals_a_loop_written_out(make) -> None:
    problem, by_hand = Quadratic(), Quadratic()
    controller = PriorController(make(problem), STEPS, initial_lr=1e9)
    rates = train(controller, problem, STEPS).rates
    optimizer = make(by_hand)
    optimizer.param_groups[0]["weight_decay"] = priors()[controller.family].weight_decay
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        by_hand.loss().backward()
        optimizer.step()
    assert torch.equal(problem.weight, by_hand.weight)


def test_a_loss_in_other_units_gives_the_same_training_under_sgd() -> None:
    weights = []
    for times in (2.0**-7, 1.0, 2.0**7):  # powers of 2, so that no rounding differs
        problem = Quadratic((1.0, 3.0), start=0.5, times=times)
        optimizer = sgd(problem)
        controller = PriorController(optimizer, STEPS, initial_lr=1e9, sets_weight_decay=False)
        train(controller, problem, STEPS)
        weights.append(problem.weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])


def test_it_converges() -> None:
    for make in (adamw, sgd):
        problem = Quadratic((0.2, 1.0), start=1.0)  # a loss as of two classes
        losses = train(PriorController(make(problem), 400), problem, 400).losses
        assert losses[-1] < 0.05 * losses[0]


def test_a_first_rate_far_too_low_is_made_up_for_in_some_steps() -> None:
    problem = Quadratic()
    controller = PriorController(adamw(problem), STEPS, initial_lr=1e-6)
    rates = train(controller, problem, STEPS).rates
    assert rates[:4] == pytest.approx([1e-6, 2e-6, 4e-6, 8e-6])
    assert rates[15:] == pytest.approx(law(Family.ADAM)[15:])


def test_a_first_rate_far_too_high_changes_nothing() -> None:
    rates = [
        train(PriorController(adamw(p), STEPS, initial_lr=lr), p, STEPS).rates
        for lr in (0.1, 1.0)
        for p in [Quadratic()]
    ]
    assert rates[0] == rates[1]


def test_the_weight_decay_is_the_priors_unless_the_user_chose_one() -> None:
    decay = priors()[Family.ADAM].weight_decay
    for make in (adamw, lambda p: NAdamW([p.weight])):
        optimizer = make(Quadratic())
        PriorController(optimizer, STEPS)
        assert optimizer.param_groups[0]["weight_decay"] == decay
    chosen = adamw(Quadratic(), weight_decay=0.7)
    PriorController(chosen, STEPS, sets_weight_decay=False)
    assert chosen.param_groups[0]["weight_decay"] == 0.7


def test_groups_without_decay_keep_that_and_l2_penalties_are_left_alone() -> None:
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    groups = [
        {"params": weights[:1], "weight_decay": 0.0},
        {"params": weights[1:], "weight_decay": 0.5},
    ]
    optimizer = torch.optim.AdamW(groups)
    PriorController(optimizer, STEPS)
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    assert decays == [0.0, priors()[Family.ADAM].weight_decay]
    for penalised in (torch.optim.Adam(weights), torch.optim.RMSprop(weights)):
        PriorController(penalised, STEPS)
        assert penalised.param_groups[0]["weight_decay"] == 0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_changes_no_weights(loss) -> None:
    problem = Quadratic()
    controller = PriorController(adamw(problem), STEPS)
    problem.weight.grad = torch.full_like(problem.weight, loss)
    before = problem.weight.detach().clone()
    controller.step(torch.tensor(loss))
    assert controller.skipped_steps == 1
    assert torch.equal(problem.weight, before)
    assert math.isfinite(controller.learning_rate)


def test_after_a_first_loss_that_is_no_number_the_next_is_the_unit() -> None:
    problem = Quadratic(start=0.1)
    controller = PriorController(sgd(problem), STEPS, initial_lr=1e9)
    controller.step(torch.tensor(math.nan))
    unit = 0.1 / float(problem.loss().detach())
    train(controller, problem, 3)
    assert controller.learning_rate == pytest.approx(law(Family.SGD_MOMENTUM, unit)[3])


def test_a_first_loss_of_0_has_no_unit() -> None:
    problem = Quadratic(start=0.0)
    rates = train(PriorController(sgd(problem), STEPS), problem, STEPS).rates
    assert all(0 < rate < 10 for rate in rates)
    assert bool(torch.isfinite(problem.weight).all())


@pytest.mark.parametrize("initial_lr", [0.0, -1.0, math.nan, math.inf, None, "1e-3"])
def test_a_first_rate_that_is_none_is_refused(initial_lr) -> None:
    with pytest.raises(ValueError, match="initial_lr must be a number above 0"):
        PriorController(adamw(Quadratic()), STEPS, initial_lr=initial_lr)


def test_behind_the_last_step_no_rate_grows() -> None:
    problem = Quadratic()
    controller = PriorController(torch.optim.AdamW([problem.weight], lr=1e-3), 1)
    rates = train(controller, problem, 4).rates
    assert len(set(rates)) == 1


def test_ratios_of_groups_outlast_a_resume_from_rates_of_0() -> None:
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    groups = [
        {"params": [weight], "lr": rate} for weight, rate in zip(weights, (0.1, 0.3), strict=True)
    ]
    saved = PriorController(torch.optim.AdamW(groups), STEPS).state_dict()
    optimizer = torch.optim.AdamW([{"params": [weight], "lr": 0.0} for weight in weights])
    controller = PriorController(optimizer, STEPS)
    controller.load_state_dict(saved)
    for weight in weights:
        weight.grad = torch.ones(2)
    controller.step(torch.tensor(1.0))
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert second == pytest.approx(3 * first)


def test_a_state_saved_before_ratios_were_is_taken_over() -> None:
    controller = PriorController(adamw(Quadratic()), STEPS)
    saved = controller.state_dict() | {"step": 7}
    del saved["rates"]
    controller.load_state_dict(saved)
    assert controller.state_dict()["step"] == 7


def test_a_closure_that_is_none_is_refused_before_anything_moves() -> None:
    problem = Quadratic()
    controller = PriorController(adamw(problem), STEPS)
    with pytest.raises(TypeError, match=r"a function that returns the loss, not 5$"):
        controller.step(torch.tensor(1.0), 5)
    assert torch.equal(problem.weight, Quadratic().weight)
