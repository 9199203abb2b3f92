"""Averaged weights: their formula, the swap for an evaluation, a resume."""

import copy

import pytest
import torch

from tune_metalr.controller import LearningRateController
from tune_metalr.methods import method_revision
from tune_metalr.methods.averaging import GAMMA, AveragedWeights
from tune_metalr.methods.build import build_controller, build_optimizer
from tune_metalr.methods.fixed import FixedSchedule


class Scripted(LearningRateController):
    """Sets the weight to the values of a script: its average can be worked out by hand."""

    def __init__(self, weight, values):
        super().__init__(torch.optim.SGD([weight], lr=0.5), len(values))
        self._weight, self._values = weight, iter(values)

    learning_rate = 0.5

    def step(self, loss, closure=None, *, gradient_scale=1.0):
        self.forward_evaluations += 1
        with torch.no_grad():
            self._weight.fill_(next(self._values))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def averages(values, gamma=GAMMA):
    """Return what is evaluated after each step."""
    weight = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    averaged = AveragedWeights(Scripted(weight, values), gamma=gamma)
    seen = []
    for _ in values:
        averaged.step(torch.zeros(()))
        with averaged.evaluation():
            seen.append(weight[0].item())
    return seen


def test_the_average_is_that_of_the_formula():
    values = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0]
    expected, average = [], 0.0
    for t, value in enumerate(values, start=1):
        share = (GAMMA + 1) / (t + GAMMA)
        average = (1 - share) * average + share * value
        expected.append(average)
    assert averages(values) == pytest.approx(expected, rel=1e-12)


def test_with_gamma_0_it_is_the_mean():
    assert averages([1.0, 2.0, 6.0], gamma=0.0) == pytest.approx([1.0, 1.5, 3.0])


def test_a_constant_stays_exactly_itself():
    assert averages([0.1] * 50) == [0.1] * 50


@pytest.mark.parametrize("gamma", [1.0, 8.0])
def test_of_a_straight_line_it_has_a_closed_form(gamma):
    # With weights of t (t+1) ... (t+gamma-1), the mean of 1..T is
    # (gamma+1) (T+gamma+1) / (gamma+2) - gamma.
    seen = averages([float(t) for t in range(1, 101)], gamma=gamma)
    expected = [(gamma + 1) * (t + gamma + 1) / (gamma + 2) - gamma for t in range(1, 101)]
    assert seen == pytest.approx(expected, rel=1e-12)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )


def averaged_training(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    return AveragedWeights(FixedSchedule(optimizer, 8, schedule="cosine"))


def train(net, controller, steps):
    for step in range(steps):
        inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        controller.optimizer.zero_grad()
        loss = (net(inputs) ** 2).mean()
        loss.backward()
        controller.step(loss)


def bits(net):
    return [tensor.detach().clone() for tensor in net.state_dict().values()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def evaluated(net, controller):
    with controller.evaluation():
        return bits(net)


def test_an_evaluation_leaves_every_bit_as_it_was():
    net = model()
    controller = averaged_training(net)
    train(net, controller, 3)
    before, pointers = bits(net), [p.data_ptr() for p in net.parameters()]
    assert not same(evaluated(net, controller), before)
    assert same(bits(net), before)
    assert [p.data_ptr() for p in net.parameters()] == pointers


def test_an_evaluation_that_fails_leaves_them_too():
    net = model()
    controller = averaged_training(net)
    train(net, controller, 3)
    before = bits(net)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), controller.evaluation():
        net(torch.ones(1, 1))
    assert same(bits(net), before)


def test_training_is_that_of_the_controller_within():
    averaged, plain = model(), model()
    controller = averaged_training(averaged)
    train(averaged, controller, 4)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    fixed = FixedSchedule(optimizer, 8, schedule="cosine")
    train(plain, fixed, 4)
    assert same(bits(averaged), bits(plain))
    assert controller.learning_rate == fixed.learning_rate


def test_buffers_are_not_averaged():
    net = model()
    controller = averaged_training(net)
    train(net, controller, 3)
    buffers = [buffer.clone() for buffer in net.buffers()]
    with controller.evaluation():
        assert same(buffers, list(net.buffers()))
    assert controller.swaps_weights


def test_before_the_first_step_the_first_weights_are_evaluated():
    net = model()
    controller = averaged_training(net)
    assert same(evaluated(net, controller), bits(net))


def test_averages_go_on_bit_for_bit():
    whole = model()
    whole_controller = averaged_training(whole)
    train(whole, whole_controller, 3)
    resumed = model()
    controller = averaged_training(resumed)
    resumed.load_state_dict(whole.state_dict())
    controller.optimizer.load_state_dict(copy.deepcopy(whole_controller.optimizer.state_dict()))
    controller.load_state_dict(whole_controller.state_dict())
    assert controller.learning_rate == whole_controller.learning_rate
    for net, its in ((whole, whole_controller), (resumed, controller)):
        train(net, its, 4)
    assert same(evaluated(whole, whole_controller), evaluated(resumed, controller))
    assert same(bits(whole), bits(resumed))


def test_what_the_controller_within_evaluates_is_charged():
    within = Scripted(torch.nn.Parameter(torch.zeros(1)), [1.0, 2.0])
    within.forward_evaluations = 5
    averaged = AveragedWeights(within)
    averaged.step(torch.zeros(()))
    assert averaged.forward_evaluations == 6
    averaged.forward_evaluations = 9
    averaged.step(torch.zeros(()))
    assert averaged.forward_evaluations == within.forward_evaluations == 10
    assert averaged.learning_rate == 0.5


def test_what_averages_itself_is_refused():
    within = Scripted(torch.nn.Parameter(torch.zeros(1)), [1.0])
    with pytest.raises(ValueError, match="averages its weights itself: remove 'averaging'"):
        AveragedWeights(AveragedWeights(within))


def test_a_trial_builds_its_averaging(make_trial):
    trial = make_trial(hyperparameters={"lr": 0.1, "averaging": True})
    assert trial.method_revision == method_revision("sgd", "constant", "fixed") + "-1"
    optimizer = build_optimizer(trial, [torch.nn.Parameter(torch.ones(1))])
    assert isinstance(build_controller(trial, optimizer, total_steps=4), AveragedWeights)
