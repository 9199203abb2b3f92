"""What a task is: examples of one kind, a network, and a batch size."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from tune_metalr.seeds import derive_seed


class Examples(NamedTuple):
    """Inputs [examples, ...] and their classes [examples]."""

    inputs: torch.Tensor
    classes: torch.Tensor

    def rows(self, start: int, end: int) -> "Examples":
        """Return the examples from `start` to below `end`."""
        return Examples(self.inputs[start:end], self.classes[start:end])


class Split(NamedTuple):
    """Examples to train on, and examples to score with."""

    train: Examples
    validation: Examples


class Task(NamedTuple):
    """A classification problem that trains in seconds."""

    name: str
    family: str
    """Tasks of one family resemble each other: they are left out of a fit together."""
    num_classes: int
    batch_size: int
    horizons_steps: tuple[int, ...]
    make_split: Callable[[torch.Generator], Split]
    """Draws the data: the same for every seed of a run."""
    make_network: Callable[[], nn.Module]
    """Builds a network with torch's default weights."""

    @property
    def chance(self) -> float:
        """Return the accuracy of a guess."""
        return 1 / self.num_classes


def generator_of(*names: str | int) -> torch.Generator:
    """Return a random stream that depends on its names alone."""
    return torch.Generator().manual_seed(derive_seed("meta-training", *names))


def split_of(task: Task) -> Split:
    """Draw a task's data."""
    return task.make_split(generator_of(task.name, "data"))


def initial_network(task: Task, seed: int) -> nn.Module:
    """Build a task's network; leave torch's own stream as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("meta-training", task.name, "weights", seed))
        return task.make_network()


def train_batches(task: Task, examples: Examples, seed: int) -> Iterator[Examples]:
    """Yield batches without end: each epoch is a new order, its last smaller batch included."""
    generator = generator_of(task.name, "order", seed)
    while True:
        order = torch.randperm(len(examples.classes), generator=generator)
        for rows in order.split(task.batch_size):  # type: ignore[no-untyped-call]
            yield Examples(examples.inputs[rows], examples.classes[rows])


def with_label_noise(
    classes: torch.Tensor, fraction: float, num_classes: int, generator: torch.Generator
) -> torch.Tensor:
    """Give a fraction of the examples a class at random, which may be the right one."""
    noisy = torch.rand(len(classes), generator=generator) < fraction
    drawn = torch.randint(num_classes, (len(classes),), generator=generator)
    return torch.where(noisy, drawn, classes)
