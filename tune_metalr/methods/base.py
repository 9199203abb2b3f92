"""The contract of every controller: what performs the optimizer step, at a rate it chose."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

Closure = Callable[[], torch.Tensor]
"""Evaluates the loss of the current batch again, without gradients."""


class LearningRateController(ABC):
    """Wraps any `torch.optim.Optimizer` and sets the learning rate of each of its steps.

    Built with the optimizer and the number of planned steps. One step of a loop is
    `zero_grad`, forward, `backward`, then `controller.step(loss)`.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, total_steps: int) -> None:
        if total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, not {total_steps}")
        self.optimizer = optimizer
        self.total_steps = total_steps
        self.forward_evaluations = 0
        """Losses evaluated by the controller itself, charged to the method."""
        self.swaps_weights = False
        """Whether `evaluation` puts other weights in: batch statistics must be taken anew."""

    @property
    @abstractmethod
    def learning_rate(self) -> float:
        """The rate of the last step; before the first, of the step to come."""

    @abstractmethod
    def step(self, loss: torch.Tensor, closure: Closure | None = None) -> None:
        """Choose the rate and perform the optimizer step; gradients are in place."""

    def end_epoch(self, validation_loss: float) -> None:  # noqa: B027  (most need nothing)
        """Hear the validation loss (nats per example) of the epoch that has just ended."""

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Swap evaluation weights in for the `with` block, where the method keeps any."""
        yield

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what resumes the controller bit for bit; the optimizer's state is apart."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
