"""Mechanic around AdamW, in a form that can be named, versioned and resumed.

Cutkosky, Defazio & Mehta, "Mechanic: a learning rate tuner", NeurIPS 2023 (arXiv 2306.00144): the
weights are the first ones plus s times the sum of AdamW's updates, and s is learned online. The
arithmetic is that of the author's package with its defaults: decay 0.01, six betas, the sum of
updates computed anew from the weights.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from mechanic_pytorch import Mechanic, mechanize

_KEY = "_mechanic"


class MechanicAdamW(mechanize(torch.optim.AdamW)):  # type: ignore[misc]
    """AdamW whose rate is scaled by Mechanic: `lr` may be anything, and its schedule counts.

    The package keeps its state by parameter, one level below the one that torch can save.
    """

    adapts = Mechanic
    revision = 1

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Perform one step; the package would leave gradients off if it failed."""
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            return super().step(closure)

    def state_dict(self) -> dict[str, Any]:
        """Return AdamW's state and Mechanic's, parameters numbered as torch numbers them."""
        state: dict[str, Any] = super().state_dict()
        if _KEY in state["state"]:
            numbers: dict[Any, int] = {p: number for number, p in enumerate(self._parameters())}
            inner = {numbers.get(key, key): value for key, value in state["state"][_KEY].items()}
            state["state"][_KEY] = inner
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        super().load_state_dict(state_dict)
        if _KEY in self.state:
            weights: dict[Any, torch.Tensor] = dict(enumerate(self._parameters()))
            inner = {weights.get(key, key): value for key, value in self.state[_KEY].items()}
            self.state[_KEY] = inner

    def _parameters(self) -> list[torch.Tensor]:
        return [weight for group in self.param_groups for weight in group["params"]]
