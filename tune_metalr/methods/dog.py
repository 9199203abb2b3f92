"""DoG and L-DoG for models in which some parameters have no gradient.

Ivgi, Hinder & Carmon, "DoG is SGD's best friend: a parameter-free dynamic step size schedule",
ICML 2023 (arXiv 2302.12022): the step is the largest distance from the first weights so far, over
the root of the sum of squared gradient norms; L-DoG takes both of each tensor on its own. The
arithmetic is that of the authors' package, which fails where a gradient is missing.
"""

from collections.abc import Callable
from typing import Any

import dog
import torch


class _SomeWithoutGradient:
    """Leaves frozen parameters out, and takes a missing gradient for one of 0."""

    param_groups: list[dict[str, Any]]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of what is trained: frozen weights belong to no distance."""
        given = param_group["params"]
        weights = [given] if isinstance(given, torch.Tensor) else given
        trained = [weight for weight in weights if weight.requires_grad]
        super().add_param_group({**param_group, "params": trained})  # type: ignore[misc]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Perform one step; return the closure's loss, if there is a closure."""
        loss = None if closure is None else closure()
        weights = [weight for group in self.param_groups for weight in group["params"]]
        missing = [weight for weight in weights if weight.grad is None]
        for weight in missing:
            weight.grad = torch.zeros_like(weight)
        try:
            super().step()  # type: ignore[misc]
        finally:
            for weight in missing:
                weight.grad = None
        return loss


class DoG(_SomeWithoutGradient, dog.DoG):  # type: ignore[misc]
    """DoG: one step size for all weights."""

    adapts = dog.DoG
    revision = 1


class LDoG(_SomeWithoutGradient, dog.LDoG):  # type: ignore[misc]
    """L-DoG: each tensor has a step size of its own."""

    adapts = dog.LDoG
    revision = 1
