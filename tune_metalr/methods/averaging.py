"""Polynomial-decay averaging of the weights, around any controller.

After step t the average is a_t = (1 - s) a_(t-1) + s w_t with s = (gamma + 1) / (t + gamma), so
that early weights fade as a power of t: Shamir & Zhang, "Stochastic gradient descent for non-smooth
optimization: convergence results and optimal averaging schemes", ICML 2013. gamma = 8 is what the
averager of DoG uses (Ivgi, Hinder & Carmon, ICML 2023).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import LearningRateController

GAMMA = 8.0


class AveragedWeights(LearningRateController):
    """Trains as the controller within does, and evaluates the running average of its weights.

    Parameters alone are averaged. An average of batch statistics belongs to no weights, so
    `swaps_weights` asks the training loop to take them anew for the averaged ones.

    Raises:
        ValueError: The controller has evaluation weights of its own.
    """

    def __init__(self, within: LearningRateController, *, gamma: float = GAMMA) -> None:
        if within.swaps_weights:
            raise ValueError("the method averages its weights itself: remove 'averaging'")
        self._within = within
        counts = within.forward_evaluations, within.skipped_steps
        super().__init__(within.optimizer, within.total_steps)
        self.forward_evaluations, self.skipped_steps = counts
        self.swaps_weights = True
        self._gamma = gamma
        self._step = 0
        self._weights = [p for group in within.optimizer.param_groups for p in group["params"]]
        self._averages = _copies(self._weights)

    @property
    def learning_rate(self) -> float:
        """The rate of the controller within."""
        return self._within.learning_rate

    @property
    def explores(self) -> bool:
        """Whether the controller within does: meanwhile the average stays at the first weights."""
        return self._within.explores

    @property
    def forward_evaluations(self) -> int:
        """Those of the controller within: averaging needs none."""
        return self._within.forward_evaluations

    @forward_evaluations.setter
    def forward_evaluations(self, count: int) -> None:
        self._within.forward_evaluations = count

    @property
    def skipped_steps(self) -> int:
        """Those of the controller within."""
        return self._within.skipped_steps

    @skipped_steps.setter
    def skipped_steps(self, count: int) -> None:
        self._within.skipped_steps = count

    def step(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        gradient_scale: float = 1.0,
    ) -> None:
        """Let the controller within take its step, and the average follow."""
        self._within.step(loss, closure, gradient_scale=gradient_scale)
        if self._within.explores:
            return
        self._step += 1
        share = (self._gamma + 1) / (self._step + self._gamma)
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, share)

    def end_epoch(self, validation_loss: float) -> None:
        """Pass the loss on: it is that of the averaged weights."""
        self._within.end_epoch(validation_loss)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Put the averages in; afterwards the weights are what they were, bit for bit."""
        kept = _copies(self._weights)
        _write(self._averages, self._weights)
        try:
            yield
        finally:
            _write(kept, self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages, shaped as the parameters, and the state of the one within."""
        return {
            "step": self._step,
            "averages": self._averages,
            "within": self._within.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the averages of `state`."""
        self._step = state["step"]
        _write(state["averages"], self._averages)
        self._within.load_state_dict(state["within"])


def _copies(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _write(source: list[torch.Tensor], target: list[torch.Tensor]) -> None:
    torch._foreach_copy_(target, source)
