"""The move of the last step, and how the new gradient agrees with it: the normalised hypergradient.

With u = w_before - w_after, which holds for any optimizer, the loss changes with the log of the
last rate as -<g, u>: where gradient and move agree, the rate was too small. Divided by both norms
that is -cos(g, u), which has no unit.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch


class Agreement(NamedTuple):
    """How the gradients in place agree with the last move."""

    cosine: float
    """0 where it is undefined: no move yet, a zero, or a number that is not finite."""
    gradient_norm: float
    """As the gradient is in place."""


class LastMove:
    """Keeps how far the last step moved each weight; a weight without a gradient does not move.

    It holds one copy of the weights that have gradients. With `sample`, a tensor of more numbers
    than that is looked at in every n-th row alone, so that about `sample` of them are left.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, sample: int | None = None) -> None:
        self._optimizer = optimizer
        self._sample = sample
        self._moves: dict[int, torch.Tensor] = {}
        """Of each weight that moved, by its place among all."""

    def agreement(self) -> Agreement:
        """Compare the gradients in place with the last move."""
        gradients = self._gradients()
        gradient_norm = _norm(gradients)
        cosine = _cosine(self._product(gradients), gradient_norm * _norm(self._moves))
        return Agreement(cosine, gradient_norm)

    def record_whole(self, step: Callable[[], None]) -> float:
        """Perform a step and keep its move; return <g, u>, how far the loss was foretold to fall.

        Every row counts. All weights are copied meanwhile, in place of the last move.
        """
        sample, self._sample, self._moves = self._sample, None, {}
        try:
            with self.recorded():
                step()
            product = self._product(self._gradients())
        finally:
            self._sample = sample
        for place, move in self._moves.items():
            seen = self._seen(move)
            self._moves[place] = move if seen is move else seen.clone()
        return product

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep the move of the optimizer step within, in place of the last one."""
        moving = {
            place: self._seen(weight.detach())
            for place, weight in enumerate(self._weights())
            if weight.grad is not None
        }
        self._moves = {
            place: self._moves[place] if place in self._moves else torch.empty_like(weight)
            for place, weight in moving.items()
        }
        weights, moves = list(moving.values()), list(self._moves.values())
        if weights:
            torch._foreach_copy_(moves, weights)
        yield
        if weights:
            torch._foreach_sub_(moves, weights)

    def state_dict(self) -> dict[int, torch.Tensor]:
        """Return a copy of the last move, by each weight's place."""
        return {place: move.clone() for place, move in self._moves.items()}

    def load_state_dict(self, state: dict[int, torch.Tensor]) -> None:
        """Take over what `state_dict` returned."""
        weights = self._weights()
        self._moves = {
            place: torch.empty_like(self._seen(weights[place].detach())).copy_(move)
            for place, move in state.items()
        }

    def _weights(self) -> list[torch.Tensor]:
        return [weight for group in self._optimizer.param_groups for weight in group["params"]]

    def _gradients(self) -> dict[int, torch.Tensor]:
        return {
            place: self._seen(_dense(weight.grad.detach())).flatten()
            for place, weight in enumerate(self._weights())
            if weight.grad is not None
        }

    def _seen(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the rows of a tensor that are looked at."""
        if self._sample is None or tensor.numel() < 2 * self._sample or not tensor.dim():
            return tensor
        return tensor[:: tensor.numel() // self._sample]

    def _product(self, gradients: dict[int, torch.Tensor]) -> float:
        return _sum_of_dots(
            [
                (gradient, self._moves[place].flatten())
                for place, gradient in gradients.items()
                if place in self._moves
            ]
        )


def _dense(gradient: torch.Tensor) -> torch.Tensor:
    return gradient if gradient.layout is torch.strided else gradient.to_dense()


def _norm(tensors: dict[int, torch.Tensor]) -> float:
    return math.sqrt(_sum_of_dots([(flat, flat) for flat in map(torch.flatten, tensors.values())]))


def _sum_of_dots(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    if not pairs:
        return 0.0
    return float(torch.stack([torch.dot(first, second) for first, second in pairs]).sum())


def _cosine(product: float, norms: float) -> float:
    if not (math.isfinite(product) and math.isfinite(norms) and norms > 0):
        return 0.0
    # Rounding can carry it past 1.
    return max(-1.0, min(1.0, product / norms))
