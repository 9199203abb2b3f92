"""What a task is: examples of one kind, a network, what is to be learned, and for how long."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from tune_metalr.metalr.prior import width_of
from tune_metalr.seeds import derive_seed


class Examples(NamedTuple):
    """Inputs [examples, ...] and what is to be said of each [examples, ...]."""

    inputs: torch.Tensor
    targets: torch.Tensor

    def rows(self, start: int, end: int) -> "Examples":
        """Return the examples from `start` to below `end`."""
        return Examples(self.inputs[start:end], self.targets[start:end])


class Split(NamedTuple):
    """Examples to train on, and examples to score with."""

    train: Examples
    validation: Examples


class Objective(NamedTuple):
    """What training lowers, and what a run is scored by; both take outputs and targets."""

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """Mean over examples."""
    score: Callable[[torch.Tensor, torch.Tensor], float]
    """1 is perfect."""


class Task(NamedTuple):
    """A problem that trains in seconds."""

    name: str
    family: str
    """Tasks of one family resemble each other: they are left out of a fit together."""
    objective: Objective
    chance: float
    """The score of a guess."""
    batch_size: int
    steps: int
    """The horizon of a run."""
    make_split: Callable[[torch.Generator], Split]
    """Draws the data: the same for every seed of a run."""
    make_network: Callable[[], nn.Module]
    """Builds a network with torch's default weights."""
    initial_scale: float = 1.0
    """Factor on the default weights."""
    loss_scale: float = 1.0
    """Factor on the loss, and so on its gradients."""

    def loss(self, network: nn.Module, batch: Examples) -> torch.Tensor:
        """Return the loss that training lowers."""
        return self.loss_scale * self.objective.loss(network(batch.inputs), batch.targets)


def width(task: Task) -> float:
    """Return the width of a task's network."""
    with torch.random.fork_rng(devices=[]):
        return width_of(task.make_network().parameters())


def generator_of(*names: str | int) -> torch.Generator:
    """Return a random stream that depends on its names alone."""
    return torch.Generator().manual_seed(derive_seed("meta-training", *names))


def split_of(task: Task) -> Split:
    """Draw a task's data."""
    return task.make_split(generator_of(task.name, "data"))


@torch.no_grad()
def initial_network(task: Task, seed: int) -> nn.Module:
    """Build a task's network; leave torch's own stream as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("meta-training", task.name, "weights", seed))
        network = task.make_network()
    for weight in network.parameters():
        weight.mul_(task.initial_scale)
    return network


def train_batches(task: Task, examples: Examples, seed: int) -> Iterator[Examples]:
    """Yield batches without end: each epoch is a new order, its last smaller batch included."""
    generator = generator_of(task.name, "order", seed)
    while True:
        order = torch.randperm(len(examples.targets), generator=generator)
        for rows in order.split(task.batch_size):  # type: ignore[no-untyped-call]
            yield Examples(examples.inputs[rows], examples.targets[rows])
