"""A small network that says by how much to change the initial rate, and how it learns.

    log factor = B tanh((w2 . tanh(W1 x + b1) + b2) / B),  B = log 1000

It learns from the normalised hypergradient: the loss changes with the log rate of step t as
-cos(g_(t+1), u_t), so that k steps give sum_t -cos(g_(t+1), u_t) log factor_t to descend. Only the
small network is differentiated.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch

HIDDEN = 16
LARGEST_FACTOR = 1000.0
CLIP_NORM = 1.0

_BOUND = math.log(LARGEST_FACTOR)
_SEED = 20260


class RateNetwork:
    """Inputs, 16 tanh units, one output: the log of a factor.

    The last layer begins at 0, so that the untrained factor is exactly 1. The first is drawn from a
    generator of its own: no global random stream is touched.
    """

    def __init__(self, num_inputs: int, *, meta_rate: float) -> None:
        generator = torch.Generator().manual_seed(_SEED)
        drawn = torch.randn(HIDDEN, num_inputs, generator=generator, dtype=torch.float64)
        self._first = drawn / math.sqrt(num_inputs)
        self._first_bias = torch.zeros(HIDDEN, dtype=torch.float64)
        self._last = torch.zeros(HIDDEN, dtype=torch.float64)
        self._last_bias = torch.zeros((), dtype=torch.float64)
        for weight in self._weights:
            weight.requires_grad_()
        self._adam = torch.optim.Adam(self._weights, lr=meta_rate, fused=True)

    @torch.no_grad()
    def log_factor(self, features: Sequence[float]) -> float:
        """Return the log of the factor on the initial rate."""
        return float(self._log_factors([features])[0])

    def learn(self, features: Sequence[Sequence[float]], cosines: Sequence[float]) -> None:
        """Take one Adam step down the hypergradient of some steps.

        Args:
            features: What the network was given, a row for each step.
            cosines: Of each step, how the gradient after it agrees with its move.
        """
        with torch.enable_grad():
            credit = torch.tensor(cosines, dtype=torch.float64)
            descended = -(credit * self._log_factors(features)).sum()
            gradients = torch.autograd.grad(descended, self._weights)
        for weight, gradient in zip(self._weights, gradients, strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(self._weights, CLIP_NORM)
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the weights, and of what Adam keeps."""
        return {
            "weights": [weight.detach().clone() for weight in self._weights],
            "adam": copy.deepcopy(self._adam.state_dict()),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        torch._foreach_copy_(self._weights, state["weights"])
        self._adam.load_state_dict(copy.deepcopy(state["adam"]))

    @property
    def _weights(self) -> list[torch.Tensor]:
        return [self._first, self._first_bias, self._last, self._last_bias]

    def _log_factors(self, features: Sequence[Sequence[float]]) -> torch.Tensor:
        inputs = torch.tensor(features, dtype=torch.float64)
        hidden = torch.tanh(inputs @ self._first.T + self._first_bias)
        return _BOUND * torch.tanh((hidden @ self._last + self._last_bias) / _BOUND)
