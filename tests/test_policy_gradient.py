"""The policy-gradient controller against REINFORCE written out; its policy, its bounds."""

import math

import numpy as np
import pytest
import torch

from tests.small_training import Quadratic, SmallNetwork, resumes_bit_for_bit, same
from tune_metalr.methods.gaussian_policy import GaussianPolicy
from tune_metalr.methods.policy_gradient import LARGEST_CHANGE, LARGEST_FACTOR, SD, PolicyGradient


def by_hand(curvature, *, rate, seed, steps, interval, policy_rate):
    """Train f(w) = h w^2 / 2 by gradient descent, from w = 1."""
    generator = torch.Generator().manual_seed(seed)
    theta, baseline, before, drawn, reward = np.zeros(4), None, None, None, 0.0
    weight, log_factor, losses, rates = 1.0, 0.0, [], []
    for step in range(steps):
        losses.append(curvature * weight**2 / 2)
        if step % interval == 0:
            shares = 0.1 * 0.9 ** np.arange(len(losses))[::-1]
            now = math.log((shares @ losses) / shares.sum())
            if before is not None:
                reward = np.clip(before - now, -1, 1)
                baseline = reward if baseline is None else baseline
                if drawn is not None:
                    features, action = drawn
                    gradient = (reward - baseline) * (action - theta @ features) / SD**2 * features
                    norm = np.linalg.norm(gradient)
                    theta = theta + policy_rate * gradient * min(1, 1 / max(norm, 1e-300))
                baseline += 0.1 * (reward - baseline)
            before = now
            if step:
                last = np.clip(drawn[1] / 0.3, -1, 1) if drawn else 0.0
                features = np.array([1, np.clip(10 * reward, -1, 1), min(1, step / steps), last])
                noise = torch.randn((), generator=generator, dtype=torch.float64).item()
                drawn = (features, theta @ features + SD * noise)
                log_factor += np.clip(drawn[1], -0.3, 0.3)
        rates.append(rate * math.exp(log_factor))
        weight -= rates[-1] * curvature * weight
    return rates, weight, theta


def test_a_path_is_that_of_reinforce():
    problem = Quadratic((10.0,))
    optimizer = torch.optim.SGD([problem.weight], lr=3e-3)
    settings = {"seed": 5, "interval": 3, "policy_rate": 0.1}
    controller = PolicyGradient(optimizer, 90, **settings)
    rates = problem.train(controller, 90)
    expected, weight, theta = by_hand(10.0, rate=3e-3, steps=90, **settings)
    assert rates == pytest.approx(expected, rel=1e-9)
    assert problem.weight.item() == pytest.approx(weight, rel=1e-9)
    assert controller.policy.theta == pytest.approx(theta.tolist(), rel=1e-9)
    assert max(map(abs, theta)) > 0.01
    assert len(set(rates)) == 30


def adam(parameters):
    return PolicyGradient(torch.optim.Adam(parameters, lr=1e-3), 60, seed=3)


def test_it_gives_the_same_bits_again():
    first, second = SmallNetwork(), SmallNetwork()
    rates = [training.train(adam(training.model.parameters()), 40) for training in (first, second)]
    assert rates[0] == rates[1]
    assert same(first.bits(), second.bits())


@pytest.mark.parametrize("done", [1, 10, 27])
def test_it_resumes_bit_for_bit(done):
    assert resumes_bit_for_bit(adam, done=done, to_come=25)


# It goes on to explore: over many more steps it walks beyond the rate at which training diverges.
@pytest.mark.parametrize(("rate", "steps"), [(1e-3, 1500), (0.05, 300)])
def test_it_converges(rate, steps):
    problem = Quadratic()
    problem.train(PolicyGradient(torch.optim.SGD([problem.weight], lr=rate), steps), steps)
    assert problem.value() < 1e-2


def test_actions_become_likelier_by_their_reward():
    features = [1.0, 0.5, 0.0, -1.0]

    def change(reward):
        """Return by how much the action's log probability rises."""
        policy = GaussianPolicy(4, sd=SD, rate=0.01, seed=0)
        policy.expect(0.0)
        action = policy.draw(features)
        before = (action - policy.mean(features)) ** 2
        policy.learn(features, action, reward)
        return (before - (action - policy.mean(features)) ** 2) / (2 * SD**2)

    assert change(0.2) > 0
    assert change(-0.2) < 0
    assert change(0.0) == 0


def test_what_is_rewarded_again_and_again_is_learned():
    policy = GaussianPolicy(1, sd=SD, rate=0.01, seed=0)
    for _ in range(300):
        action = policy.draw([1.0])
        policy.learn([1.0], action, action)
    assert policy.mean([1.0]) > SD


def test_one_update_is_bounded():
    policy = GaussianPolicy(1, sd=SD, rate=0.01, seed=0)
    policy.expect(0.0)
    policy.learn([1.0], 5.0, 1e6)
    assert policy.theta == pytest.approx([0.01])


def test_the_first_window_has_the_first_rate_and_changes_are_bounded():
    problem = Quadratic()
    controller = PolicyGradient(torch.optim.SGD([problem.weight], lr=1e-3), 400)
    controller.policy.theta = [5.0, 0.0, 0.0, 0.0]
    rates = problem.train(controller, 250)
    assert set(rates[:10]) == {1e-3}
    assert rates[10] == pytest.approx(1e-3 * math.exp(LARGEST_CHANGE))
    assert rates[-1] == pytest.approx(1e-3 * LARGEST_FACTOR)
    assert len(set(rates[10:20])) == 1


def test_another_seed_draws_other_rates():
    def rates(seed):
        problem = Quadratic()
        optimizer = torch.optim.SGD([problem.weight], lr=1e-3)
        return problem.train(PolicyGradient(optimizer, 40, seed=seed), 40)

    assert rates(1) == rates(1) != rates(2)
