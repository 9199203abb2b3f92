"""One run: a task trained for a number of steps with one setting of the law."""

import math
from typing import NamedTuple

import torch
from torch import nn

from tune_metalr.metalr.meta_training.task import (
    Examples,
    Split,
    Task,
    initial_network,
    train_batches,
)
from tune_metalr.metalr.prior import Family, shape

MOMENTUM = 0.9

_DIVERGED_LOSS_NATS = 1e3


class Setting(NamedTuple):
    """What the law decides for a run."""

    rate: float
    """Peak rate. For SGD in units of 1 / (first loss), and effective: over one minus momentum."""
    warmup_fraction: float
    """A constant rate is asked for by a negative number: the law has no such runs."""
    weight_decay: float


class Score(NamedTuple):
    """How a run ended. A run that diverged has the accuracy of a guess."""

    accuracy: float
    """Fraction of the validation examples."""
    loss_nats: float
    """Mean cross-entropy on the validation examples."""
    diverged: bool


def train(
    task: Task, split: Split, family: Family, *, steps: int, setting: Setting, seed: int
) -> Score:
    """Train a task's network, and score it after the last step."""
    network = initial_network(task, seed)
    batches = train_batches(task, split.train, seed)
    batch = next(batches)
    with torch.no_grad():
        first_loss_nats = _loss(network, batch).item()
    peak = torch_rate(family, setting.rate, first_loss_nats)
    optimizer = build_optimizer(family, network, setting.weight_decay)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = peak * _factor(step, steps, setting.warmup_fraction)
        optimizer.zero_grad()
        loss = _loss(network, batch)
        if not loss.item() < _DIVERGED_LOSS_NATS:
            break
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        batch = next(batches)
    return _score(task, network, split.validation)


def torch_rate(family: Family, rate: float, first_loss_nats: float) -> float:
    """Return the rate that torch's optimizer is given."""
    if family is Family.SGD_MOMENTUM:
        return rate * (1 - MOMENTUM) / first_loss_nats
    return rate


def build_optimizer(
    family: Family, network: nn.Module, weight_decay: float
) -> torch.optim.Optimizer:
    """Return a family's optimizer, whose rate is set before each step."""
    if family is Family.SGD_MOMENTUM:
        return torch.optim.SGD(
            network.parameters(), lr=0.0, momentum=MOMENTUM, weight_decay=weight_decay
        )
    return torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=weight_decay, fused=True)


def _factor(step: int, steps: int, warmup_fraction: float) -> float:
    return 1.0 if warmup_fraction < 0 else shape(step, steps, warmup_fraction)


def _loss(network: nn.Module, batch: Examples) -> torch.Tensor:
    return nn.functional.cross_entropy(network(batch.inputs), batch.classes)


@torch.no_grad()
def _score(task: Task, network: nn.Module, examples: Examples) -> Score:
    logits = network(examples.inputs)
    loss_nats = nn.functional.cross_entropy(logits, examples.classes).item()
    if not math.isfinite(loss_nats) or loss_nats > _DIVERGED_LOSS_NATS:
        return Score(task.chance, _DIVERGED_LOSS_NATS, diverged=True)
    accuracy = (logits.argmax(dim=1) == examples.classes).double().mean().item()
    return Score(accuracy, loss_nats, diverged=False)
