"""MetaLR: the prior, and how far probes may move it."""

import copy
import io
import math
from contextlib import nullcontext

import pytest
import torch

from tests.metalr.problems import Quadratic, train
from tune_metalr import BatchLoss, MetaLR
from tune_metalr.metalr.metalr import DEAD_BANDS
from tune_metalr.metalr.prior import Family
from tune_metalr.metalr.prior_controller import PriorController
from tune_metalr.metalr.probe import Reading

STEPS = 200
FAMILIES = {
    Family.ADAM: lambda weights: torch.optim.AdamW(weights, lr=1e-3),
    Family.SGD_MOMENTUM: lambda weights: torch.optim.SGD(weights, lr=1e-3, momentum=0.9),
}


def start(family, problem, steps=STEPS, **keywords):
    keywords = {"initial_lr": 1e9} | keywords
    return MetaLR(FAMILIES[family]([problem.weight]), steps, **keywords)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_closure_it_is_the_prior(family) -> None:
    problem, other = Quadratic(start=0.3), Quadratic(start=0.3)
    metalr = start(family, problem)
    rates = train(metalr, problem, STEPS, closure=False).rates
    prior = PriorController(FAMILIES[family]([other.weight]), STEPS, initial_lr=1e9)
    assert train(prior, other, STEPS).rates == rates
    assert torch.equal(problem.weight, other.weight)
    assert metalr.forward_evaluations == 0


def test_inside_the_dead_band_it_is_the_prior() -> None:
    problem, other = Quadratic(start=0.3), Quadratic(start=0.3)
    metalr = start(Family.ADAM, problem)
    rates = train(metalr, problem, STEPS).rates
    prior = PriorController(FAMILIES[Family.ADAM]([other.weight]), STEPS, initial_lr=1e9)
    assert metalr.scale == 1
    assert rates == train(prior, other, STEPS).rates


def test_probes_are_few_and_charged() -> None:
    problem = Quadratic(start=0.3)
    metalr = start(Family.ADAM, problem, 400)
    train(metalr, problem, 400)
    assert metalr.forward_evaluations == 6 + 400 // 64 == 12


def sees(metalr, sigma, times=1):
    for _ in range(times):
        metalr._hear(Reading(0.1, 0.1 * (1 - sigma / 2), is_resolved=True, has_failed=False))
    return metalr.scale


@pytest.mark.parametrize("family", FAMILIES)
def test_too_much_curvature_lowers_the_rate_within_the_bound(family) -> None:
    metalr = start(family, Quadratic())
    assert 1 / 1.5 <= sees(metalr, 1.8) < 1
    assert sees(metalr, 1.8, times=50) == pytest.approx(1 / 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_further_outside_the_larger_the_move(family) -> None:
    scales = [sees(start(family, Quadratic()), sigma) for sigma in (0.9, 1.02, 1.05, 3.0)]
    assert scales[0] == 1
    assert sorted(scales, reverse=True) == scales
    assert len(set(scales)) == 4


def test_what_is_not_resolved_moves_nothing() -> None:
    metalr = start(Family.ADAM, Quadratic())
    metalr._hear(Reading(1e-9, -1.0, is_resolved=False, has_failed=False))
    assert (metalr.scale, metalr.sigma) == (1, None)


def test_one_step_across_the_slope_does_not_hide_the_others() -> None:
    metalr = start(Family.ADAM, Quadratic())
    sees(metalr, 0.3, times=5)
    metalr._hear(Reading(1e-4, -1e-3, is_resolved=True, has_failed=False))  # sigma 22 on its own
    metalr._hear(Reading(-0.1, -0.2, is_resolved=True, has_failed=False))  # uphill: says nothing
    assert metalr.sigma < 0.4
    assert metalr.scale == 1


def test_too_much_curvature_on_a_quadratic_lowers_the_rate_under_sgd() -> None:
    problem = Quadratic((3e3, 3e3), start=0.05)
    metalr = start(Family.SGD_MOMENTUM, problem)
    train(metalr, problem, STEPS)
    assert metalr.scale < 1
    assert bool(torch.isfinite(problem.weight).all())


def test_too_little_curvature_raises_the_rate_under_sgd_within_the_bound() -> None:
    problem = Quadratic((1e-4, 1e-4), start=1e2)
    metalr = start(Family.SGD_MOMENTUM, problem)
    train(metalr, problem, STEPS)
    assert 1 < metalr.scale <= 4 * (1 + 1e-9)


def test_too_little_curvature_says_nothing_under_adam() -> None:
    problem = Quadratic((1e-4, 1e-4), start=1e2)
    metalr = start(Family.ADAM, problem)
    train(metalr, problem, STEPS)
    assert metalr.scale == 1
    assert DEAD_BANDS[Family.ADAM].low == -math.inf


def test_a_step_far_too_long_is_taken_back() -> None:
    problem = Quadratic((1e6, 1e6), start=1e-2)
    metalr = start(Family.SGD_MOMENTUM, problem)
    losses = train(metalr, problem, STEPS).losses
    assert metalr.scale < 1e-2
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_deterministic_and_resumes_bit_for_bit(family) -> None:
    whole = Quadratic((1e3, 1.0), start=0.1)
    uninterrupted = start(family, whole)
    rates = train(uninterrupted, whole, STEPS).rates
    first = Quadratic((1e3, 1.0), start=0.1)
    metalr = start(family, first)
    begun = train(metalr, first, 70).rates
    file = io.BytesIO()
    torch.save([metalr.state_dict(), copy.deepcopy(metalr.optimizer.state_dict())], file)
    file.seek(0)
    state, optimizer_state = torch.load(file, weights_only=True)
    second = Quadratic((1e3, 1.0), start=0.1)
    second.weight.data.copy_(first.weight)
    resumed = start(family, second)
    resumed.optimizer.load_state_dict(optimizer_state)
    resumed.load_state_dict(state)
    assert begun + train(resumed, second, STEPS - 70).rates == rates
    assert torch.equal(second.weight, whole.weight)
    assert resumed.forward_evaluations == uninterrupted.forward_evaluations


@pytest.mark.parametrize("family", FAMILIES)
def test_it_converges(family) -> None:
    problem = Quadratic((1.0, 10.0), start=0.3)
    losses = train(start(family, problem, 400), problem, 400).losses
    assert losses[-1] < 0.05 * losses[0]


def test_losses_that_are_no_numbers_in_a_row_halve_the_rate() -> None:
    problem = Quadratic()
    metalr = start(Family.ADAM, problem)
    metalr.step(torch.tensor(math.nan))
    assert metalr.scale == 1  # one bad batch is not the rate's fault
    train(metalr, problem, 1)
    metalr.step(torch.tensor(math.nan))
    assert metalr.scale == 1
    metalr.step(torch.tensor(math.nan))
    assert metalr.scale == 0.5
    for _ in range(2000):
        metalr.step(torch.tensor(math.nan))
    assert metalr.scale > 0
    train(metalr, problem, 3)
    assert metalr.learning_rate > 0


@pytest.mark.parametrize("is_within", [True, False])
def test_a_loss_that_takes_gradients_itself(is_within) -> None:
    problem = Quadratic(start=0.3)
    metalr = start(Family.ADAM, problem)

    def with_penalty() -> torch.Tensor:
        with torch.enable_grad() if is_within else nullcontext():
            loss = problem.loss()
            (gradient,) = torch.autograd.grad(loss, problem.weight, create_graph=True)
            return loss + gradient.square().sum()

    batch_loss = BatchLoss(with_penalty)
    loss = batch_loss()
    loss.backward()
    if is_within:
        metalr.step(loss, batch_loss)
        assert metalr.sigma is not None
        return
    with pytest.raises(RuntimeError) as raised:
        metalr.step(loss, batch_loss)
    assert "within torch.enable_grad()" in raised.value.__notes__[0]
    assert torch.equal(problem.weight, Quadratic(start=0.3).weight)
