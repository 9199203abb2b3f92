"""NAdamW: Adam with Nesterov's look-ahead and decoupled weight decay."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch


class NAdamW(torch.optim.Optimizer):
    """AdamW whose step uses the first moment as it would be after one more equal gradient.

    With m and v the moments after this step's gradient g, the step is

        w -= lr * decay * w
        w -= lr * (b1 m + (1 - b1) g) / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    This is NAdam of Choi et al. 2019 (arXiv 1910.05446, table 1) with the decay of Loshchilov
    and Hutter 2019, in the form that the AlgoPerf benchmark uses. `torch.optim.NAdam` is another
    rule: it gives the momentum a schedule of its own.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be from 0 to below 1, not {betas}")
        if min(lr, eps, weight_decay) < 0:
            raise ValueError("lr, eps and weight_decay must not be negative")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Perform one step; return the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._step(group, weights)
        return loss

    def _step(self, group: dict[str, Any], weights: list[torch.Tensor]) -> None:
        states = [self._state_of(weight) for weight in weights]
        first = [state["first_moment"] for state in states]
        second = [state["second_moment"] for state in states]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        rate, (beta1, beta2) = group["lr"], group["betas"]
        for state in states:
            state["step"] += 1
        torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        ahead = torch._foreach_lerp(first, gradients, 1 - beta1)
        scale = torch._foreach_sqrt(second)
        # A parameter that had no gradient at some step is behind the others.
        counts = [float(state["step"]) for state in states]
        torch._foreach_div_(scale, [(1 - beta2**count) ** 0.5 for count in counts])
        torch._foreach_add_(scale, group["eps"])
        sizes = [-rate / (1 - beta1**count) for count in counts]
        torch._foreach_addcdiv_(weights, ahead, scale, sizes)

    def _state_of(self, weight: torch.Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["step"] = 0
            state["first_moment"] = torch.zeros_like(weight)
            state["second_moment"] = torch.zeros_like(weight)
        return state
