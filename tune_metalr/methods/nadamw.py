"""NAdamW: Adam with Nesterov's look-ahead and decoupled weight decay."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch

_PIECE_ELEMENTS = 131_072


class NAdamW(torch.optim.Optimizer):
    """AdamW whose step uses the first moment as it would be after one more equal gradient.

    With m and v the moments after this step's gradient g, the step is

        w -= lr * decay * w
        w -= lr * (b1 m + (1 - b1) g) / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    This is NAdam of Choi et al. 2019 (arXiv 1910.05446, table 1) with the decay of Loshchilov
    and Hutter 2019, in the form that the AlgoPerf benchmark uses. `torch.optim.NAdam` is another
    rule: it gives the momentum a schedule of its own.
    """

    decouples_weight_decay = True

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
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(group, weight, weight.grad)
        return loss

    def _step(self, group: dict[str, Any], weight: torch.Tensor, gradient: torch.Tensor) -> None:
        state = self._state_of(weight)
        state["step"] += 1
        rate, (beta1, beta2) = group["lr"], group["betas"]
        size = -rate / (1 - beta1 ** state["step"])
        root = (1 - beta2 ** state["step"]) ** 0.5
        tensors = (weight, gradient, state["first_moment"], state["second_moment"])
        for piece, slope, first, second in _pieces(*tensors):
            piece.mul_(1 - rate * group["weight_decay"])
            first.lerp_(slope, 1 - beta1)
            second.mul_(beta2).addcmul_(slope, slope, value=1 - beta2)
            scale = second.sqrt().div_(root).add_(group["eps"])
            piece.addcdiv_(first.lerp(slope, 1 - beta1), scale, value=size)

    def _state_of(self, weight: torch.Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["step"] = 0
            state["first_moment"] = torch.zeros_like(weight)
            state["second_moment"] = torch.zeros_like(weight)
        return state


def _pieces(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Cut tensors of one shape into views that stay in the processor's cache.

    Nine passes over a large tensor would each fetch it from memory.
    """
    if tensors[0].numel() <= _PIECE_ELEMENTS:
        return iter([tensors])
    rows = max(1, _PIECE_ELEMENTS * len(tensors[0]) // tensors[0].numel())
    # torch leaves `split` without types.
    cut = (tensor.split(rows) for tensor in tensors)  # type: ignore[no-untyped-call]
    return zip(*cut, strict=True)
