"""Each peer against its formula, written out in NumPy, or against its package's own reference.

All train on the same noisy quadratic: 0.5 sum h (x - target_t)^2, with another target at each step,
in two tensors of float64. What is compared is the way gone from the first weights.
"""

import math

import dog
import numpy as np
import pytest
import torch
from schedulefree import AdamWScheduleFreeReference

from tests.peers import of_preset
from tune_metalr.methods.averaging import GAMMA
from tune_metalr.methods.build import build_controller, build_optimizer

STEPS = 60
HORIZON = 200
"""Planned steps: the run is followed through its first part, with the warm-up and some decay."""
START = np.array([0.4, -0.3, 0.2, 0.3, -0.4])
CURVATURE = np.array([1.0, 2.0, 0.5, 3.0, 1.0])
TARGETS = 0.02 * np.random.default_rng(0).standard_normal((STEPS, 5))
BLOCKS = (slice(0, 3), slice(3, 5))


def gradient(x, step):
    return CURVATURE * (x - TARGETS[step])


def loss(x, step):
    return 0.5 * float((CURVATURE * (x - TARGETS[step]) ** 2).sum())


def cosine(step):
    return (1 + math.cos(math.pi * step / HORIZON)) / 2


def weights():
    return [torch.nn.Parameter(torch.tensor(START[block])) for block in BLOCKS]


def flat(tensors):
    return torch.cat([tensor.detach() for tensor in tensors]).numpy().copy()


def torch_loss(tensors, step):
    distance = torch.cat(tensors) - torch.from_numpy(TARGETS[step])
    return 0.5 * (torch.from_numpy(CURVATURE) * distance**2).sum()


def path(make_trial, name, parameters=None):
    """Return the weights, and those for evaluation, after each step of the built preset."""
    parameters = parameters or weights()
    trial = make_trial(**of_preset(name))
    optimizer = build_optimizer(trial, parameters)
    controller = build_controller(trial, optimizer, total_steps=HORIZON)
    trained, evaluated = [], []
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        value = torch_loss(parameters, step)
        value.backward()
        controller.step(value)
        trained.append(flat(parameters))
        with controller.evaluation():
            evaluated.append(flat(parameters))
    return np.array(trained), np.array(evaluated)


def assert_same(seen, expected, *, rtol):
    """Compare ways from the start, step by step, relative to the largest of the step."""
    ways, expected_ways = seen - START, np.array(expected) - START
    sizes = np.abs(expected_ways).max(axis=1, keepdims=True)
    assert (sizes > 0).all()
    assert np.abs((ways - expected_ways) / sizes).max() < rtol


def prodigy(beta1=0.9, beta2=0.999, eps=1e-8, d=1e-6):
    """Algorithm 4 of Mishchenko & Defazio 2024 (arXiv 2306.06101).

    As the package has it: eps is already scaled by the step's new d.
    """
    x, m, v, r, s = START.copy(), 0.0, 0.0, 0.0, 0.0
    root = math.sqrt(beta2)
    for step in range(STEPS):
        g, rate = gradient(x, step), cosine(step)
        m = beta1 * m + (1 - beta1) * d * g
        v = beta2 * v + (1 - beta2) * d**2 * g**2
        r = root * r + (1 - root) * rate * d**2 * float(g @ (START - x))
        s = root * s + (1 - root) * rate * d**2 * g
        size, d = rate * d, max(d, r / np.abs(s).sum())
        x = x - size * m / (np.sqrt(v) + d * eps)
        yield x
    assert d > 1e-4  # it has found a rate


def test_prodigy(make_trial):
    assert_same(path(make_trial, "prodigy-cosine")[0], list(prodigy()), rtol=1e-9)


def d_adapt_adam(beta1=0.9, beta2=0.999, eps=1e-8, d=1e-6):
    """Adam with D-Adaptation of Defazio & Mishchenko 2023 (arXiv 2301.07733).

    The inner product is weighted by the denominators before the step, as the package has it.
    """
    x, m, v, r, s = START.copy(), 0.0, np.zeros(5), 0.0, np.zeros(5)
    root = math.sqrt(beta2)
    for step in range(STEPS):
        g, rate = gradient(x, step), cosine(step)
        r = root * r + (1 - root) * rate * d * float(g @ (s / (np.sqrt(v) + eps)))
        m = beta1 * m + (1 - beta1) * rate * d * g
        v = beta2 * v + (1 - beta2) * g**2
        s = root * s + (1 - root) * rate * d * g
        x = x - m / (np.sqrt(v) + eps)
        d = max(d, r / ((1 - root) * np.abs(s).sum()))
        yield x
    assert d > 1e-5


def test_d_adapt_adam(make_trial):
    assert_same(path(make_trial, "d-adapt-adam-cosine")[0], list(d_adapt_adam()), rtol=1e-9)


def dog_path(blocks, first_distance, eps=1e-8):
    """DoG of Ivgi, Hinder & Carmon 2023 (arXiv 2302.12022, equation DoG), for each block.

    Beside it the average of the weights: Shamir & Zhang 2013 with gamma = 8.
    """
    x, average = START.copy(), START.copy()
    distance = [first_distance * (1 + np.linalg.norm(START[block])) for block in blocks]
    squares = [eps for _ in blocks]
    for step in range(STEPS):
        g, new = gradient(x, step), x.copy()
        for k, block in enumerate(blocks):
            distance[k] = max(distance[k], np.linalg.norm(x[block] - START[block]))
            squares[k] += g[block] @ g[block]
            new[block] -= distance[k] / math.sqrt(squares[k]) * g[block]
        x = new
        share = (GAMMA + 1) / (step + 1 + GAMMA)
        average = (1 - share) * average + share * x
        yield x, average


@pytest.mark.parametrize(
    ("name", "blocks", "first_distance"),
    [
        ("dog", [slice(0, 5)], 1e-6),
        ("dog-batch-norm", [slice(0, 5)], 1e-4),
        ("l-dog", BLOCKS, 1e-6),
        ("l-dog-batch-norm", BLOCKS, 1e-4),
    ],
)
def test_dog(make_trial, name, blocks, first_distance):
    trained, evaluated = path(make_trial, name)
    expected = list(dog_path(blocks, first_distance))
    assert_same(trained, [x for x, _ in expected], rtol=1e-8)
    assert_same(evaluated, [average for _, average in expected], rtol=1e-8)


class Weights(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = torch.nn.ParameterList(weights())


@pytest.mark.parametrize(("name", "kind"), [("dog", dog.DoG), ("l-dog", dog.LDoG)])
def test_dog_is_the_package_as_its_readme_uses_it(make_trial, name, kind):
    model = Weights()
    optimizer, averager = kind(model.parameters()), dog.PolynomialDecayAverager(model)
    expected, expected_averages = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        torch_loss(list(model.parameters()), step).backward()
        optimizer.step()
        averager.step()
        expected.append(flat(model.parameters()))
        expected_averages.append(flat(averager.averaged_model.parameters()))
    trained, evaluated = path(make_trial, name)
    assert np.array_equal(trained, np.array(expected))
    assert_same(evaluated, expected_averages, rtol=1e-9)


def schedule_free(rate=2.5e-3, beta1=0.9, beta2=0.99552, decay=0.08122, eps=1e-8):
    """Schedule-Free AdamW of Defazio et al. 2024 (arXiv 2405.15682, algorithm 1)."""
    x, y, z, v, total = START.copy(), START.copy(), START.copy(), 0.0, 0.0
    warmup = 0.02 * 0.75 * HORIZON
    for step in range(STEPS):
        g = gradient(y, step)
        size = rate * min(1.0, (step + 1) / warmup)
        v = beta2 * v + (1 - beta2) * g**2
        denominator = np.sqrt(v / (1 - beta2 ** (step + 1))) + eps
        z = z - size * g / denominator - size * decay * y
        total += size**2
        x = (1 - size**2 / total) * x + size**2 / total * z
        y = beta1 * x + (1 - beta1) * z
        yield y, x


def test_schedule_free_adamw(make_trial):
    trained, evaluated = path(make_trial, "schedule-free-adamw")
    expected = list(schedule_free())
    assert_same(trained, [y for y, _ in expected], rtol=1e-9)
    assert_same(evaluated, [x for _, x in expected], rtol=1e-9)


def test_a_warm_up_of_ours_is_schedule_frees_own(make_trial):
    parameters = weights()
    reference = AdamWScheduleFreeReference(
        parameters, lr=2.5e-3, betas=(0.9, 0.99552), weight_decay=0.08122, warmup_steps=3
    )
    trained, evaluated = [], []
    for step in range(STEPS):
        reference.train()
        reference.zero_grad()
        torch_loss(parameters, step).backward()
        reference.step()
        trained.append(flat(parameters))
        reference.eval()
        evaluated.append(flat(parameters))
    ours = path(make_trial, "schedule-free-adamw")
    assert_same(ours[0], trained, rtol=1e-9)
    assert_same(ours[1], evaluated, rtol=1e-9)


def mechanic(beta1=0.9, beta2=0.999, decay=0.01, eps=1e-8, s_decay=0.01, s_init=1e-8):
    """Algorithm 1 of Cutkosky, Defazio & Mehta 2023 (arXiv 2306.00144) around AdamW.

    As the package has it: the sum of updates is computed anew from the weights, and the decay term
    is taken at the weights that AdamW's own update would give.
    """
    betas = np.array([0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999])
    x, first, second = START.copy(), 0.0, 0.0
    m, v, r, s = np.full(6, 1e-6), np.zeros(6), np.zeros(6), np.zeros(6)
    for step in range(STEPS):
        g, rate = gradient(x, step), cosine(step)
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * g**2
        ahead = first / (1 - beta1 ** (step + 1))
        update = -rate * (ahead / (np.sqrt(second / (1 - beta2 ** (step + 1))) + eps) + decay * x)
        delta = (x - START) / (s.sum() + eps)
        there = x + update
        pull = s_decay * s.sum() * np.linalg.norm(g) / (np.linalg.norm(there) + eps) * there
        h = float(delta @ (g + pull))
        m = np.maximum(betas * m, abs(h))
        v = betas**2 * v + h**2
        r = np.maximum(0.0, betas * r - s * h)
        s = (s_init / len(betas) * m + r) / (np.sqrt(v) + eps)
        x = START + s.sum() * (delta + update)
        yield x


def test_mechanic(make_trial):
    # The package holds s and what belongs to it in float32.
    assert_same(path(make_trial, "mechanic-adamw-cosine")[0], list(mechanic()), rtol=1e-4)


def momo_adam(rate=1e-2, beta1=0.9, beta2=0.999, eps=1e-8, lower_bound=0.0):
    """MoMo-Adam of Schaipp et al. 2024 (arXiv 2305.07583, algorithm 3), without weight decay."""
    x, d, v, mean_loss, mean_dot = START.copy(), 0.0, 0.0, 0.0, 0.0
    cuts = 0
    for step in range(STEPS):
        g, debias = gradient(x, step), 1 - beta1 ** (step + 1)
        mean_loss = beta1 * mean_loss + (1 - beta1) * loss(x, step)
        mean_dot = beta1 * mean_dot + (1 - beta1) * float(g @ x)
        d = beta1 * d + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        scale = np.sqrt(v / (1 - beta2 ** (step + 1))) + eps
        room = max(0.0, mean_loss - debias * lower_bound + float(d @ x) - mean_dot)
        cut = room / float(d @ (d / scale))
        cuts += cut < rate / debias
        x = x - min(rate / debias, cut) * d / scale
        yield x
    assert 0 < cuts < STEPS  # both branches are taken


def test_momo_adam(make_trial):
    # The package holds the average of <gradient, weights> in float32.
    assert_same(path(make_trial, "momo-adam")[0], list(momo_adam()), rtol=1e-4)
