"""The hypergradient controller: its formula, its memory of one move, what it is for."""

import math

import pytest
import torch

from tests.small_training import Quadratic, SmallNetwork, resumes_bit_for_bit, same
from tune_metalr.methods.hypergradient import Hypergradient


def by_hand(curvatures, *, rate, momentum, steps):
    weights, buffers = [1.0] * len(curvatures), [0.0] * len(curvatures)
    move, rates = None, []
    for _ in range(steps):
        gradients = [h * w for h, w in zip(curvatures, weights, strict=True)]
        if move is not None:
            product = sum(g * u for g, u in zip(gradients, move, strict=True))
            rate *= 1 + 0.02 * product / (math.hypot(*gradients) * math.hypot(*move))
        buffers = [momentum * b + g for b, g in zip(buffers, gradients, strict=True)]
        move = [rate * b for b in buffers]
        weights = [w - u for w, u in zip(weights, move, strict=True)]
        rates.append(rate)
    return rates, weights


def test_a_path_is_that_of_the_formula():
    curvatures = (1.0, 3.0, 10.0)
    problem = Quadratic(curvatures)
    optimizer = torch.optim.SGD([problem.weight], lr=0.05, momentum=0.9)
    rates = problem.train(Hypergradient(optimizer, 60), 60)
    expected, weights = by_hand(curvatures, rate=0.05, momentum=0.9, steps=60)
    assert rates == pytest.approx(expected, rel=1e-9)
    assert problem.weight.tolist() == pytest.approx(weights, rel=1e-6)


def adam(parameters):
    return Hypergradient(torch.optim.Adam(parameters, lr=1e-3), 40)


def test_it_gives_the_same_bits_again():
    first, second = SmallNetwork(), SmallNetwork()
    rates = [training.train(adam(training.model.parameters()), 20) for training in (first, second)]
    assert rates[0] == rates[1]
    assert same(first.bits(), second.bits())


@pytest.mark.parametrize("done", [1, 13])
def test_it_resumes_bit_for_bit(done):
    assert resumes_bit_for_bit(adam, done=done, to_come=10)


@pytest.mark.parametrize("rate", [1e-5, 0.05])
def test_it_converges(rate):
    problem = Quadratic()
    problem.train(Hypergradient(torch.optim.SGD([problem.weight], lr=rate), 1000), 1000)
    assert problem.value() < 1e-8


def test_the_rate_grows_while_steps_agree():
    problem = Quadratic((1.0,))
    rates = problem.train(Hypergradient(torch.optim.SGD([problem.weight], lr=1e-3), 50), 50)
    assert rates == pytest.approx([1e-3 * 1.02**step for step in range(50)])


def test_the_rate_shrinks_where_steps_oscillate():
    problem = Quadratic((1.0,))
    rates = problem.train(Hypergradient(torch.optim.SGD([problem.weight], lr=1.9), 20), 20)
    assert rates == pytest.approx([1.9 * 0.98**step for step in range(20)])


class Watched(torch.optim.SGD):
    """Records, at each step, the rates that its tensors see."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.01)
        self.seen = []

    def step(self):
        self.seen.append([group["lr"] for group in self.param_groups])
        super().step()


def test_all_tensors_see_one_rate():
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = Watched([{"params": [weight]} for weight in weights])
    controller = Hypergradient(optimizer, 5)
    for _ in range(5):
        for number, weight in enumerate(weights, start=1):
            weight.grad = weight.detach() * number
        controller.step(torch.zeros(()))
        assert set(optimizer.seen[-1]) == {controller.learning_rate}
    assert len(optimizer.seen) == 5


def test_a_weight_that_comes_and_goes_is_compared_where_it_moved():
    first, second = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    controller = Hypergradient(torch.optim.SGD([first, second], lr=0.1), 3)
    first.grad = torch.ones(1)
    controller.step(torch.zeros(()))
    first.grad, second.grad = None, torch.ones(1)
    controller.step(torch.zeros(()))
    assert controller.learning_rate == 0.1
    first.grad = torch.ones(1)
    controller.step(torch.zeros(()))  # the move is (0, 1), the gradient (1, 1)
    assert controller.learning_rate == pytest.approx(0.1 * (1 + 0.02 / math.sqrt(2)))


def test_a_factor_that_could_bring_the_rate_to_0_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    with pytest.raises(ValueError, match="factor must be from 0 to below 1, not 1"):
        Hypergradient(optimizer, 5, factor=1.0)


def test_the_rate_stays_a_number_however_long_steps_agree():
    weight = torch.nn.Parameter(torch.ones(1))
    controller = Hypergradient(torch.optim.SGD([weight], lr=1.0), 5, factor=0.99)
    for _ in range(300):
        weight.grad = torch.ones(1)
        controller.step(torch.zeros(()))
    assert math.isfinite(controller.learning_rate)
