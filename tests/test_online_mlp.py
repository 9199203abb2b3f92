"""The online-mlp controller against itself written out in NumPy; what its network learns."""

import math

import numpy as np
import pytest
import torch

from tests.small_training import Quadratic, SmallNetwork, resumes_bit_for_bit, same
from tune_metalr.methods import online_mlp
from tune_metalr.methods.last_move import LastMove
from tune_metalr.methods.online_mlp import OnlineMLP
from tune_metalr.methods.rate_network import RateNetwork

BOUND = math.log(1000)


class NetworkByHand:
    """The network, its derivative by hand, and Adam."""

    def __init__(self, weights, *, rate):
        self.weights = [weight.numpy().copy() for weight in weights]
        self.rate = rate
        self.first = [np.zeros_like(weight) for weight in self.weights]
        self.second = [np.zeros_like(weight) for weight in self.weights]
        self.updates = 0

    def forward(self, inputs):
        w1, b1, w2, b2 = self.weights
        hidden = np.tanh(inputs @ w1.T + b1)
        return hidden, BOUND * np.tanh((hidden @ w2 + b2) / BOUND)

    def learn(self, inputs, cosines):
        hidden, outputs = self.forward(inputs)
        inner = -cosines * (1 - (outputs / BOUND) ** 2)
        behind = np.outer(inner, self.weights[2]) * (1 - hidden**2)
        gradients = [behind.T @ inputs, behind.sum(0), hidden.T @ inner, inner.sum()]
        norm = math.sqrt(sum((gradient**2).sum() for gradient in gradients))
        self.updates += 1
        for i, gradient in enumerate(gradients):
            clipped = gradient * min(1, 1 / (norm + 1e-6))
            self.first[i] = 0.9 * self.first[i] + 0.1 * clipped
            self.second[i] = 0.999 * self.second[i] + 0.001 * clipped**2
            mean = self.first[i] / (1 - 0.9**self.updates)
            scale = np.sqrt(self.second[i] / (1 - 0.999**self.updates)) + 1e-8
            self.weights[i] = self.weights[i] - self.rate * mean / scale


def by_hand(curvatures, network, *, rate, steps, interval, probe_interval):
    """Train f(w) = sum h w^2 / 2 by gradient descent, from ones."""
    h, weight = np.array(curvatures), np.ones(len(curvatures))
    means, move, sigma = None, None, 0.0
    given, cosines, rates = [], [], []
    for step in range(steps):
        gradient = h * weight
        norm = np.linalg.norm(gradient)
        if move is not None:
            cosines.append(gradient @ move / norm / np.linalg.norm(move))
        if len(cosines) == interval:
            network.learn(np.array(given), np.array(cosines))
            given, cosines = [], []
        logs = np.log([(h * weight**2).sum() / 2, norm])
        means = logs if means is None else means
        features = np.clip([*(logs / 3), *(logs - means), sigma], -3, 3)
        means = 0.9 * means + 0.1 * logs
        given.append(features)
        rates.append(rate * math.exp(network.forward(features[None])[1][0]))
        move = rates[-1] * gradient
        if step % probe_interval == 0:
            sigma = (h * move**2).sum() / (gradient @ move)
        weight = weight - move
    return rates, weight


def test_a_path_is_that_of_the_formula():
    curvatures = (1.0, 3.0, 10.0)
    problem = Quadratic(curvatures)
    optimizer = torch.optim.SGD([problem.weight], lr=0.02)
    controller = OnlineMLP(optimizer, 60, meta_rate=0.02, meta_interval=4, probe_interval=7)
    network = NetworkByHand(controller.state_dict()["network"]["weights"], rate=0.02)
    rates = problem.train(controller, 60)
    expected, weight = by_hand(
        curvatures, network, rate=0.02, steps=60, interval=4, probe_interval=7
    )
    assert rates == pytest.approx(expected, rel=1e-6)
    assert problem.weight.tolist() == pytest.approx(weight.tolist(), rel=1e-6)
    assert max(rates) > 1.5 * rates[0]
    assert controller.forward_evaluations == 9


def adam(parameters):
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    return OnlineMLP(optimizer, 60, meta_rate=0.01, meta_interval=5, probe_interval=4)


def test_it_gives_the_same_bits_again():
    first, second = SmallNetwork(), SmallNetwork()
    rates = [training.train(adam(training.model.parameters()), 20) for training in (first, second)]
    assert rates[0] == rates[1]
    assert same(first.bits(), second.bits())


@pytest.mark.parametrize("done", [1, 5, 13])
def test_it_resumes_bit_for_bit(done):
    assert resumes_bit_for_bit(adam, done=done, to_come=12)


def test_what_was_charged_is_resumed():
    training = SmallNetwork()
    controller = adam(training.model.parameters())
    training.train(controller, 9)
    resumed = adam(SmallNetwork().model.parameters())
    resumed.load_state_dict(controller.state_dict())
    assert resumed.forward_evaluations == controller.forward_evaluations == 3


def test_it_converges_from_a_sensible_rate():
    problem = Quadratic()
    problem.train(OnlineMLP(torch.optim.SGD([problem.weight], lr=0.05), 500), 500)
    assert problem.value() < 1e-8


def test_from_a_rate_too_small_it_raises_the_rate_and_converges():
    problem = Quadratic()
    optimizer = torch.optim.SGD([problem.weight], lr=1e-4)
    rates = problem.train(OnlineMLP(optimizer, 1500, meta_rate=0.01), 1500)
    assert problem.value() < 1e-3
    assert max(rates) > 50 * rates[0]


def test_untrained_it_is_the_initial_rate_exactly():
    training = SmallNetwork()
    optimizer = torch.optim.SGD(training.model.parameters(), lr=1e-3, momentum=0.9)
    assert set(training.train(OnlineMLP(optimizer, 40), 10)) == {1e-3}
    plain = SmallNetwork()
    optimizer = torch.optim.SGD(plain.model.parameters(), lr=1e-3, momentum=0.9)
    plain.train(OnlineMLP(optimizer, 40, meta_rate=0.0), 10)
    assert same(training.bits(), plain.bits())


FEATURES = [0.3, -0.5, 0.1, 0.0, 0.4]


@pytest.mark.parametrize("cosine", [1.0, -1.0, 0.01])
def test_an_update_moves_the_log_rate_against_the_hypergradient(cosine):
    network = RateNetwork(5, meta_rate=1e-3)
    assert network.log_factor(FEATURES) == 0
    network.learn([FEATURES] * 10, [cosine] * 10)
    assert network.log_factor(FEATURES) * cosine > 0


def test_cosines_of_0_teach_nothing():
    network = RateNetwork(5, meta_rate=1e-3)
    network.learn([FEATURES] * 10, [0.0] * 10)
    assert network.log_factor(FEATURES) == 0


def test_the_factor_is_bounded():
    network = RateNetwork(5, meta_rate=10.0)
    for _ in range(100):
        network.learn([FEATURES], [1.0])
    assert math.exp(network.log_factor(FEATURES)) == pytest.approx(1000, rel=1e-3)


def test_the_curvature_is_that_of_the_step():
    problem = Quadratic((4.0,))
    controller = OnlineMLP(torch.optim.SGD([problem.weight], lr=0.1), 5)
    problem.train(controller, 1)
    assert controller.state_dict()["curvature"] == pytest.approx(0.4)


def test_without_a_closure_the_curvature_is_0():
    problem = Quadratic()
    controller = OnlineMLP(torch.optim.SGD([problem.weight], lr=0.01), 40)
    problem.train(controller, 40, has_closure=False)
    assert controller.state_dict()["curvature"] == controller.forward_evaluations == 0


def test_clipping_is_seen_through():
    states = []
    for scale in (1.0, 0.25):
        problem = Quadratic((4.0,))
        optimizer = torch.optim.SGD([problem.weight], lr=0.1 / scale)
        controller = OnlineMLP(optimizer, 5)
        problem.loss().backward()
        problem.weight.grad *= scale
        controller.step(problem.loss(), problem.loss, gradient_scale=scale)
        states.append(controller.state_dict())
    assert states[0]["features"] == pytest.approx(states[1]["features"])
    assert states[0]["curvature"] == pytest.approx(states[1]["curvature"])


def test_what_is_not_finite_is_not_looked_at():
    problem = Quadratic()
    controller = OnlineMLP(torch.optim.SGD([problem.weight], lr=0.01), 40)
    problem.train(controller, 3)
    before = controller.state_dict()
    controller.step(torch.tensor(math.nan), problem.loss, gradient_scale=0.0)
    after = controller.state_dict()
    assert (before["features"], before["means"]) == (after["features"], after["means"])


def test_every_third_row_of_a_large_tensor_stands_for_it():
    large, small = torch.nn.Parameter(torch.zeros(6, 5)), torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([large, small], lr=1.0)
    last_move = LastMove(optimizer, sample=10)
    large.grad = torch.arange(30.0).reshape(6, 5)
    small.grad = torch.ones(4)
    whole = torch.cat([large.grad.flatten(), small.grad])
    assert last_move.record_whole(optimizer.step) == pytest.approx(float(whole @ whole))
    shapes = [tuple(move.shape) for move in last_move.state_dict().values()]
    with last_move.recorded():
        optimizer.step()
    seen = torch.cat([large.grad[[0, 3]].flatten(), small.grad])
    assert last_move.agreement().cosine == pytest.approx(1.0)
    assert last_move.agreement().gradient_norm == pytest.approx(float(seen.norm()))
    kept = [tuple(move.shape) for move in last_move.state_dict().values()]
    assert kept == shapes == [(2, 5), (4,)]


def test_a_sample_resumes_bit_for_bit(monkeypatch):
    monkeypatch.setattr(online_mlp, "SAMPLE", 4)
    assert resumes_bit_for_bit(adam, done=7, to_come=12)
