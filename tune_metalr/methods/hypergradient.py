"""Hypergradient descent on the rate, in its multiplicative form.

    rate_t = rate_(t-1) (1 + 0.02 cos(g_t, u_(t-1)))

with the gradient g and the move u = w_before - w_after of the last step, so that it holds for any
optimizer. Baydin et al., "Online learning rate adaptation with hypergradient descent", ICLR 2018
(arXiv 1703.04782); divided by both norms, the factor has no unit and needs no tuning of its own.
"""

from typing import Any

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import GroupRates, LearningRateController
from tune_metalr.methods.last_move import LastMove

FACTOR = 0.02
"""Largest relative change of the rate in one step."""

_SMALLEST, _LARGEST = 1e-30, 1e30
"""What float32 arithmetic bears; no rule of the method."""


class Hypergradient(LearningRateController):
    """Multiplies the rate by 1 + 0.02 cos(gradient, last move).

    One rate, set before the optimizer step, serves all tensors. Where the cosine is undefined, the
    rate stays as it is: at the first step, with zero gradients, and where a gradient or a move is
    not finite. The loss is not looked at. It costs one copy of the weights.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, total_steps: int, *, factor: float = FACTOR
    ) -> None:
        """Begin at the optimizer's rate.

        Raises:
            ValueError: The factor is not from 0 to below 1: the rate could become 0.
        """
        super().__init__(optimizer, total_steps)
        if not 0 <= factor < 1:
            raise ValueError(f"factor must be from 0 to below 1, not {factor}")
        self._factor = factor
        self._rates = GroupRates(optimizer)
        self._learning_rate = float(optimizer.param_groups[0]["lr"])
        self._last_move = LastMove(optimizer)

    @property
    def learning_rate(self) -> float:
        """The rate of the first parameter group."""
        return self._learning_rate

    def step(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        gradient_scale: float = 1.0,
    ) -> None:
        """Move the rate by how the gradient agrees with the last move; perform the step."""
        moved = self._learning_rate * (1 + self._factor * self._last_move.agreement().cosine)
        self._learning_rate = max(_SMALLEST, min(_LARGEST, moved))
        self._rates.set(self._learning_rate)
        with self._last_move.recorded():
            self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the rate, and a copy of the last move."""
        return {"learning_rate": self._learning_rate, "last_move": self._last_move.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the rate and the move of `state`."""
        self._learning_rate = state["learning_rate"]
        self._last_move.load_state_dict(state["last_move"])
