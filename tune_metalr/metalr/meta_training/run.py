"""One run: a task trained for a number of steps with one setting of the law."""

import math
from functools import partial
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
from tune_metalr.metalr.meta_training.watch import Watch
from tune_metalr.metalr.prior import Family, shape

MOMENTUM = 0.9

_DIVERGED_LOSS = 1e3


class Setting(NamedTuple):
    """What the law decides for a run."""

    rate: float
    """Peak rate. For SGD in units of 1 / (first loss), and effective: over one minus momentum."""
    warmup_fraction: float
    """A constant rate is asked for by a negative number: the law has no such runs."""
    weight_decay: float


class Score(NamedTuple):
    """How a run ended. A run that diverged has the score of a guess."""

    score: float
    """On the validation examples, as the task has it."""
    loss: float
    """Mean on the validation examples, in the objective's unit: without the task's scale."""
    diverged: bool


def train(
    task: Task,
    split: Split,
    family: Family,
    *,
    setting: Setting,
    seed: int,
    watch: Watch | None = None,
) -> Score:
    """Train a task's network, and score it after the last step.

    Looks of `watch` change nothing: with it and without it, a run has the same bits.
    """
    network = initial_network(task, seed)
    batches = train_batches(task, split.train, seed)
    batch = next(batches)
    with torch.no_grad():
        first_loss = task.loss(network, batch).item()
    peak = torch_rate(family, setting.rate, first_loss)
    optimizer = build_optimizer(family, network, setting.weight_decay)
    for step in range(task.steps):
        optimizer.param_groups[0]["lr"] = peak * _factor(step, task.steps, setting.warmup_fraction)
        optimizer.zero_grad()
        loss = task.loss(network, batch)
        if not loss.item() < _DIVERGED_LOSS * task.loss_scale:
            break
        loss.backward()  # type: ignore[no-untyped-call]
        if watch is None:
            optimizer.step()
        else:
            watch.step(step, optimizer, loss.detach(), partial(task.loss, network, batch))
        batch = next(batches)
    return score(task, network, split.validation)


def torch_rate(family: Family, rate: float, first_loss: float) -> float:
    """Return the rate that torch's optimizer is given."""
    if family is Family.SGD_MOMENTUM:
        return rate * (1 - MOMENTUM) / first_loss
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


@torch.no_grad()
def score(task: Task, network: nn.Module, examples: Examples) -> Score:
    """Return how a network does on examples."""
    outputs = network(examples.inputs)
    loss = task.objective.loss(outputs, examples.targets).item()
    if not math.isfinite(loss) or loss > _DIVERGED_LOSS:
        return Score(task.chance, _DIVERGED_LOSS, diverged=True)
    return Score(task.objective.score(outputs, examples.targets), loss, diverged=False)
