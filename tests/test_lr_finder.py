"""The lr-finder controller: its test, written out; what it puts back; what it chooses."""

import math

import pytest
import torch

from tests.small_training import Quadratic, SmallNetwork, resumes_bit_for_bit, same
from tune_metalr.methods.averaging import AveragedWeights
from tune_metalr.methods.lr_finder import LRFinder
from tune_metalr.methods.range_test import RangeTest
from tune_metalr.methods.schedules import Schedule


def by_hand(curvature, *, rate, total_steps):
    """Train f(w) = h w^2 / 2 by gradient descent, from w = 1."""
    num_tests = min(100, total_steps // 10)
    memory = 0.9 ** (100 / num_tests)
    weight, rates, smoothed, tried = 1.0, [], [], []
    losses = []
    while True:
        losses.append(curvature * weight**2 / 2)
        shares = [memory ** (len(losses) - 1 - i) for i in range(len(losses))]
        smoothed.append(sum(s * x for s, x in zip(shares, losses, strict=True)) / sum(shares))
        if smoothed[-1] > 4 * min(smoothed) or len(smoothed) == num_tests:
            break
        tried.append(rate * 1e-4 * 1e8 ** (len(tried) / (num_tests - 2)))
        weight -= tried[-1] * curvature * weight
    start = num_tests // 10
    lowest = min(range(start + 1, len(smoothed)), key=smoothed.__getitem__)
    peak = tried[lowest - 1] / 10
    weight, rates = 1.0, list(tried)
    cycle = Schedule("one-cycle", total_steps - len(losses))
    rates.append(peak * cycle.factor(0))
    for step in range(total_steps - len(losses)):
        rates.append(peak * cycle.factor(step))
        weight -= rates[-1] * curvature * weight
    return rates, weight, peak


@pytest.mark.parametrize("total_steps", [150, 1200])
def test_a_path_is_that_of_the_formula(total_steps):
    problem = Quadratic((10.0,))
    controller = LRFinder(torch.optim.SGD([problem.weight], lr=1e-3), total_steps)
    rates = problem.train(controller, total_steps)
    expected, weight, peak = by_hand(10.0, rate=1e-3, total_steps=total_steps)
    assert rates == pytest.approx(expected, rel=1e-9)
    assert problem.weight.item() == pytest.approx(weight, rel=1e-6, abs=1e-300)
    assert controller.peak_rate == pytest.approx(peak)


def adam(parameters, total_steps=200):
    return LRFinder(torch.optim.Adam(parameters, lr=1e-3), total_steps)


def test_it_gives_the_same_bits_again():
    first, second = SmallNetwork(), SmallNetwork()
    rates = [training.train(adam(training.model.parameters()), 30) for training in (first, second)]
    assert rates[0] == rates[1]
    assert same(first.bits(), second.bits())


@pytest.mark.parametrize("done", [1, 12, 25])
def test_it_resumes_bit_for_bit(done):
    assert resumes_bit_for_bit(adam, done=done, to_come=20)


@pytest.mark.parametrize("rate", [1e-4, 0.02])
def test_it_converges(rate):
    problem = Quadratic()
    problem.train(LRFinder(torch.optim.SGD([problem.weight], lr=rate), 600), 600)
    assert problem.value() < 1e-6


def until_the_test_is_over(training, controller):
    step = 0
    while controller.explores:
        before = [p.detach().clone() for p in training.model.parameters()]
        training.train(controller, 1, first=step)
        step += 1
    return before


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
        lambda p: torch.optim.Adam(p, lr=1e-3),
        lambda p: torch.optim.Adagrad(p, lr=1e-3),
    ],
    ids=["sgd", "adam", "adagrad"],
)
def test_after_the_test_all_is_as_it_was_bit_for_bit(optimizer):
    training = SmallNetwork()
    inner = optimizer(training.model.parameters())
    controller = LRFinder(inner, 200)
    first = [p.detach().clone() for p in training.model.parameters()]
    last = until_the_test_is_over(training, controller)
    assert not same(first, last)
    assert same(first, [p.detach() for p in training.model.parameters()])
    untouched = optimizer(SmallNetwork().model.parameters()).state_dict()["state"]
    assert str(inner.state_dict()["state"]) == str(untouched)
    assert controller.state_dict()["first"] is None


def test_a_warm_optimizer_is_put_back_too():
    training = SmallNetwork()
    inner = torch.optim.SGD(training.model.parameters(), lr=1e-3, momentum=0.9)
    training.model(torch.randn(4, 3)).sum().backward()
    inner.step()
    buffers = [inner.state[p]["momentum_buffer"].clone() for p in training.model.parameters()]
    until_the_test_is_over(training, LRFinder(inner, 200))
    after = [inner.state[p]["momentum_buffer"] for p in training.model.parameters()]
    assert same(buffers, after)


def test_a_state_saved_before_the_end_of_the_test_outlives_it():
    training = SmallNetwork()
    controller = adam(training.model.parameters())
    training.train(controller, 1)
    saved = controller.state_dict()["first"]
    weights = [tensor.clone() for tensor in saved["weights"]]
    training.train(controller, 40, first=1)
    assert same(saved["weights"], weights)
    assert saved["optimizer"]["state"] == {}


@pytest.mark.parametrize("curvature", [1.0, 10.0, 100.0])
def test_the_choice_is_near_the_optimum_of_a_quadratic(curvature):
    problem = Quadratic((curvature,))
    controller = LRFinder(torch.optim.SGD([problem.weight], lr=1e-3), 1000)
    while controller.explores:
        problem.train(controller, 1)
    assert 1 / 5 < controller.peak_rate * curvature < 2


def test_losses_that_say_nothing_leave_the_initial_rate():
    weight = torch.nn.Parameter(torch.ones(1))
    controller = LRFinder(torch.optim.SGD([weight], lr=1e-3), 200)
    for _ in range(20):
        controller.step(torch.tensor(0.693))
    assert not controller.explores
    assert controller.peak_rate == 1e-3


@pytest.mark.parametrize("losses", [[math.nan], [1.0, math.inf], [0.0, 0.0, 1.0], [1.0, 4.1, 50.0]])
def test_losses_that_end_the_test_at_once_leave_the_initial_rate(losses):
    test = RangeTest(1e-3, 20)
    assert [test.hear(loss) for loss in losses] == [False] * (len(losses) - 1) + [True]
    assert test.choice() is None


def test_rates_grow_geometrically_over_eight_decades():
    test, rates = RangeTest(1e-3, 10), []
    for _ in range(9):
        test.hear(1.0)
        rates.append(test.rate)
    assert rates == pytest.approx([10.0**exponent for exponent in range(-7, 2)])
    assert test.hear(1.0)


def test_a_run_too_short_for_a_test_is_one_cycle():
    problem = Quadratic()
    controller = LRFinder(torch.optim.SGD([problem.weight], lr=0.05), 99)
    cycle = Schedule("one-cycle", 99)
    assert not controller.explores
    assert problem.train(controller, 99) == [0.05 * cycle.factor(step) for step in range(99)]


def test_averages_begin_behind_the_test():
    training = SmallNetwork()
    first = [p.detach().clone() for p in training.model.parameters()]
    within = adam(training.model.parameters())
    controller = AveragedWeights(within)
    step = 0
    while controller.explores:
        with controller.evaluation():
            assert same(first, [p.detach() for p in training.model.parameters()])
        training.train(controller, 1, first=step)
        step += 1
    training.train(controller, 1, first=step)
    after = [p.detach().clone() for p in training.model.parameters()]
    with controller.evaluation():
        averages = [p.detach() for p in training.model.parameters()]
        assert all(
            torch.allclose(average, (a + 9 * b) / 10, atol=1e-7)
            for average, a, b in zip(averages, first, after, strict=True)
        )
