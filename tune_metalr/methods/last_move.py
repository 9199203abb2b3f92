"""The move of the last step, and how the new gradient agrees with it: the normalised hypergradient.

With u = w_before - w_after, which holds for any optimizer, the loss changes with the log of the
last rate as -<g, u>: where gradient and move agree, the rate was too small. Divided by both norms
that is -cos(g, u), which has no unit.
"""

import math
from typing import NamedTuple

import torch


class Agreement(NamedTuple):
    """How the gradients in place agree with the last move."""

    cosine: float
    """0 where it is undefined: no move yet, a zero, or a number that is not finite."""
    gradient_norm: float
    """Of the whole gradient, as it is in place."""


class LastMove:
    """Performs optimizer steps and keeps how far the last one moved each weight.

    It holds one copy of the weights that have gradients. A weight without a gradient does not move.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._moves: dict[int, torch.Tensor] = {}
        """Of each weight that moved, by its place among all."""

    @torch.no_grad()
    def agreement(self) -> Agreement:
        """Compare the gradients in place with the last move."""
        gradients = {
            place: weight.grad
            for place, weight in enumerate(self._weights())
            if weight.grad is not None
        }
        products = [
            torch.dot(gradient.flatten(), self._moves[place].flatten())
            for place, gradient in gradients.items()
            if place in self._moves
        ]
        gradient_norm = _norm(list(gradients.values()))
        product = float(torch.stack(products).sum()) if products else 0.0
        return Agreement(
            _cosine(product, gradient_norm * _norm(list(self._moves.values()))), gradient_norm
        )

    @torch.no_grad()
    def step(self) -> None:
        """Perform the optimizer step, and keep its move in place of the last one."""
        moving = {
            place: weight for place, weight in enumerate(self._weights()) if weight.grad is not None
        }
        self._moves = {
            place: self._moves[place] if place in self._moves else torch.empty_like(weight)
            for place, weight in moving.items()
        }
        weights, moves = list(moving.values()), list(self._moves.values())
        if weights:
            torch._foreach_copy_(moves, weights)
        self._optimizer.step()
        if weights:
            torch._foreach_sub_(moves, weights)

    def state_dict(self) -> dict[int, torch.Tensor]:
        """Return a copy of the last move, by each weight's place."""
        return {place: move.clone() for place, move in self._moves.items()}

    def load_state_dict(self, state: dict[int, torch.Tensor]) -> None:
        """Take over what `state_dict` returned."""
        weights = self._weights()
        self._moves = {
            place: torch.empty_like(weights[place]).detach().copy_(move)
            for place, move in state.items()
        }

    def _weights(self) -> list[torch.Tensor]:
        return [weight for group in self._optimizer.param_groups for weight in group["params"]]


def _norm(tensors: list[torch.Tensor]) -> float:
    if not tensors:
        return 0.0
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors))))


def _cosine(product: float, norms: float) -> float:
    if not (math.isfinite(product) and math.isfinite(norms) and norms > 0):
        return 0.0
    # Rounding can carry it past 1.
    return max(-1.0, min(1.0, product / norms))
