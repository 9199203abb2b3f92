"""What a controller holds beside weights and gradients: one copy of the weights, at most."""

import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tune_metalr.methods import CONTROLLERS
from tune_metalr.methods.build import build_controller

SIZES = (40_003, 2_000_003)
"""Of the second, a sample stands for the whole where a controller samples."""

SCRATCH = 300_000
"""Samples of large tensors, and the pieces in which they are looked at: so much at any size."""

STEPS = 70
"""The range test and several probes are among them."""


class HeldNumbers(TorchDispatchMode):
    """Counts the numbers in large tensors that operations make, and that are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._held: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        inputs = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if _is_large(t)}
        for result in filter(_is_large, tree_leaves(results)):
            storage = result.untyped_storage()
            if storage._cdata not in inputs | self._held.keys():
                self._held[storage._cdata] = result.numel()
                weakref.finalize(storage, self._held.pop, storage._cdata)
        self.most = max(self.most, sum(self._held.values()))
        return results


def _is_large(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() > 10_000


def mean_square(weights: list[torch.nn.Parameter]) -> torch.Tensor:
    """Return a loss that needs no large tensor."""
    return torch.stack([torch.dot(weight, weight) / weight.numel() for weight in weights]).sum()


@pytest.mark.parametrize(("averaging", "copies"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_controller_holds_at_most_one_copy_of_the_weights(make_trial, name, averaging, copies):
    weights = [torch.nn.Parameter(torch.ones(size)) for size in SIZES]
    optimizer = torch.optim.SGD(weights, lr=1e-3)
    settings = {"lr": 1e-3} | ({"averaging": True} if averaging else {})
    trial = make_trial(controller=name, hyperparameters=settings)
    held = HeldNumbers()
    with held:
        controller = build_controller(trial, optimizer, total_steps=200)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = mean_square(weights)
        loss.backward()
        with held, torch.no_grad():
            controller.step(loss, lambda: mean_square(weights))
    most = copies * sum(SIZES) + SCRATCH
    assert (copies - 1) * sum(SIZES) <= held.most <= most
