"""A controller in the place of the optimizer, for frameworks that own the training loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.optim.lr_scheduler import LRScheduler

from tune_metalr.batch_loss import BatchLosses, Closure
from tune_metalr.controller import LearningRateController


class AsOptimizer(torch.optim.Optimizer):
    """Stands for a controller where a framework calls `step()` or `step(closure)` itself.

        optimizer = AsOptimizer(MetaLR(AdamW(model.parameters()), total_steps))
        ...
        optimizer.hear(loss, batch_loss)  # wherever the loss is known
        loss.backward()
        optimizer.step()  # by the framework

    What was not heard is taken from what the framework's closure returned: the loss, but not how to
    evaluate it again. Parameter groups, defaults and state are those of the controller's optimizer.

    A scheduler beside it has no say: the controller sets the rates just before each step. But what
    frameworks log is the scheduler's rate, so give them `scheduler()`.
    """

    def __init__(self, controller: LearningRateController) -> None:
        if not isinstance(controller, LearningRateController):
            raise TypeError(
                f"{type(self).__name__} stands for a controller, as MetaLR, "
                f"not for {type(controller).__name__}"
            )
        # Not torch's own: it would make groups and a state beside those of the optimizer.
        self.__setstate__({"controller": controller})

    def hear(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        parts: int = 1,
        share: float | None = None,
    ) -> None:
        """Hear the loss of the step to come, or of one part of it.

        Args:
            loss: The mean loss of a batch, of which `backward` makes gradients.
            closure: Evaluates it again, best a `BatchLoss`.
            parts: Number of batches whose gradients are accumulated. What is heard beyond it takes
                the place of the oldest: of a step that was left out, nothing stays.
            share: What this loss is multiplied by in the whole; 1 / parts if not given.
        """
        part = _Part(loss.detach(), closure, 1 / parts if share is None else share)
        self._heard.add(part, limit=parts)

    def hear_clipping(self, norm: torch.Tensor | float, max_norm: float) -> None:
        """Hear that the gradients, of this norm until then, were clipped to `max_norm`."""
        self._heard.gradient_scale = min(1.0, max_norm / (float(norm) + 1e-6))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Let the controller take its step; return what the closure returned.

        Args:
            closure: Forward and backward, as torch's optimizers take it.

        Raises:
            RuntimeError: No loss was heard or returned.
        """
        returned = None
        if closure is not None:
            with torch.enable_grad():
                returned = closure()
        parts, gradient_scale = self._heard.take()
        if not parts:
            if closure is not None and returned is None:
                return None  # so a framework says that this batch is left out
            if returned is None:
                raise RuntimeError(
                    "no loss: call hear(loss) before step(), or let closure return it"
                )
            parts = [_Part(torch.as_tensor(returned).detach(), None, 1.0)]
        self.controller.step(
            _total_loss(parts), _total_closure(parts), gradient_scale=gradient_scale
        )
        return returned

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients."""
        self.controller.optimizer.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse: controllers keep the ratios of rates with which they were built."""
        raise RuntimeError("add parameter groups to the optimizer before its controller is built")

    def scheduler(self) -> LRScheduler:
        """Return what changes no rate, and reports those of the last step."""
        return _Reported(self)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the optimizer, and below `controller` that of the controller."""
        return self.controller.optimizer.state_dict() | {"controller": self.controller.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        state = dict(state_dict)
        self.controller.load_state_dict(state.pop("controller"))
        self.controller.optimizer.load_state_dict(state)

    def __repr__(self) -> str:
        name = type(self.controller).__name__
        return f"{type(self).__name__} of {name} of {self.controller.optimizer!r}"

    def __getattr__(self, name: str) -> Any:
        # Looked up anew each time: optimizers replace their groups when they load a state.
        if name in ("param_groups", "state", "defaults"):
            return getattr(self.controller.optimizer, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __getstate__(self) -> dict[str, Any]:
        # Like torch's, without hooks; what was heard is of a step that is not taken elsewhere.
        return {"controller": self.controller}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.controller: LearningRateController = state["controller"]
        self._heard = _Heard()
        super().__setstate__({})


class _Part(NamedTuple):
    """The loss of one of the batches of a step."""

    loss: torch.Tensor
    closure: Closure | None
    share: float


class _Heard:
    """What was told since the last step.

    An object of its own: a wrapper that passes on our attributes, as Lightning's, cannot set them.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self.gradient_scale = 1.0

    def add(self, part: _Part, *, limit: int) -> None:
        self._parts = [*self._parts, part][-limit:]

    def take(self) -> tuple[list[_Part], float]:
        """Return the parts and the gradients' scale, and forget them."""
        taken = self._parts, self.gradient_scale
        self._parts, self.gradient_scale = [], 1.0
        return taken


def _total_loss(parts: list[_Part]) -> torch.Tensor:
    return sum((part.loss * part.share for part in parts[1:]), parts[0].loss * parts[0].share)


def _total_closure(parts: list[_Part]) -> Closure | None:
    """Return what evaluates the whole again, where every part can be."""
    if len(parts) == 1 and parts[0].share == 1:
        return parts[0].closure
    closures = [part.closure for part in parts if part.closure is not None]
    if len(closures) < len(parts):
        return None
    return BatchLosses(closures, [part.share for part in parts])


class _Reported(LRScheduler):
    """Finds the rates in the parameter groups, and leaves them there."""

    def get_lr(self) -> list[float | torch.Tensor]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float | torch.Tensor]:
        # Frameworks ask after the optimizer's step, and before the scheduler's.
        return self.get_lr()
