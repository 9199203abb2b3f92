"""NAdamW against its formula, written out."""

import math

import pytest
import torch

from tune_metalr.methods import nadamw
from tune_metalr.methods.nadamw import NAdamW


def by_hand(gradients, *, rate, beta1, beta2, eps, decay, start):
    weight, first, second = start, 0.0, 0.0
    path = []
    for count, gradient in enumerate(gradients, start=1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        ahead = (beta1 * first + (1 - beta1) * gradient) / (1 - beta1**count)
        scale = math.sqrt(second / (1 - beta2**count)) + eps
        weight = weight - rate * decay * weight - rate * ahead / scale
        path.append(weight)
    return path


def test_a_path_is_that_of_the_formula():
    gradients = [1.0, -0.3, 0.02, 5.0, -2.0]
    weight = torch.nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    optimizer = NAdamW([weight], lr=0.1, betas=(0.93266, 0.99552), weight_decay=0.08122)
    path = []
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        path.append(weight.item())
    expected = by_hand(
        gradients, rate=0.1, beta1=0.93266, beta2=0.99552, eps=1e-8, decay=0.08122, start=0.7
    )
    assert path == pytest.approx(expected, rel=1e-12)


def test_pieces_are_the_whole(monkeypatch):
    shapes = [(7, 3), (5,), (), (4, 3, 2, 2)]

    def weights():
        generator = torch.Generator().manual_seed(0)
        made = [torch.randn(shape, generator=generator) for shape in shapes]
        made[-1] = made[-1].to(memory_format=torch.channels_last)
        return [torch.nn.Parameter(weight) for weight in made]

    def train():
        parameters = weights()
        optimizer = NAdamW(parameters, lr=0.1)
        for _ in range(3):
            for weight in parameters:
                weight.grad = weight.detach().sin()
            optimizer.step()
        return parameters

    whole = train()
    monkeypatch.setattr(nadamw, "_PIECE_ELEMENTS", 6)
    assert all(torch.equal(a, b) for a, b in zip(whole, train(), strict=True))


def test_without_momentum_it_is_adamw():
    weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    ours = NAdamW([weights[0]], lr=0.1, betas=(0.0, 0.9), weight_decay=0.1)
    theirs = torch.optim.AdamW([weights[1]], lr=0.1, betas=(0.0, 0.9), weight_decay=0.1)
    for _ in range(5):
        for weight, optimizer in zip(weights, (ours, theirs), strict=True):
            weight.grad = weight.detach() ** 3
            optimizer.step()
    assert torch.allclose(*weights, rtol=1e-6)


def test_it_resumes_bit_for_bit():
    def steps(optimizer, weight, count):
        for _ in range(count):
            weight.grad = weight.detach().sin()
            optimizer.step()

    whole = torch.nn.Parameter(torch.linspace(-1, 1, 7))
    steps(NAdamW([whole]), whole, 6)
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
    first = NAdamW([weight])
    steps(first, weight, 2)
    second = NAdamW([weight])
    second.load_state_dict(first.state_dict())
    steps(second, weight, 4)
    assert torch.equal(weight, whole)


def test_a_parameter_without_gradient_stays_and_counts_its_own_steps():
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = NAdamW(weights, lr=0.1, weight_decay=0.0)
    weights[0].grad = torch.ones(1)
    optimizer.step()
    assert weights[1].item() == 1.0
    weights[1].grad = torch.ones(1)
    optimizer.step()
    alone = torch.nn.Parameter(torch.ones(1))
    reference = NAdamW([alone], lr=0.1, weight_decay=0.0)
    alone.grad = torch.ones(1)
    reference.step()
    assert torch.equal(weights[1], alone)


def test_a_closure_gives_the_loss():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = NAdamW([weight])

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert weight.item() < 1.0


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"betas": (1.0, 0.9)}, {"eps": -1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        NAdamW([torch.nn.Parameter(torch.ones(1))], **wrong)
