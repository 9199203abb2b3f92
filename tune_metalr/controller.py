"""The contract of every controller: what performs the optimizer step, at a rate it chose."""

import inspect
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tune_metalr.batch_loss import Closure


class LearningRateController(ABC):
    """Wraps any `torch.optim.Optimizer` and sets the learning rate of each of its steps.

    Built with the optimizer and the number of planned steps. One step of a loop is
    `zero_grad`, forward, `backward`, then `controller.step(loss)`.

    It stands where the optimizer would for `torch.amp.GradScaler`:
    `scaler.step(controller, loss, closure)` unscales gradients first and leaves out the step where
    one is not finite.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, total_steps: int) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"a controller wraps a torch.optim.Optimizer, not {type(optimizer).__name__}"
            )
        if not _is_whole(total_steps) or total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, a whole number, not {total_steps!r}")
        if any(group.get("lr") is None for group in optimizer.param_groups):
            raise ValueError(f"{type(optimizer).__name__} has no learning rate that could be set")
        if _needs_closure(optimizer):
            raise ValueError(f"{type(optimizer).__name__} needs a closure in each step")
        self.optimizer = optimizer
        self.total_steps = int(total_steps)
        self.forward_evaluations = 0
        """Losses evaluated by the controller itself, charged to the method."""
        self.skipped_steps = 0
        """Steps that the controller refused to take, because their loss was not finite. Their
        losses are no divergence: the weights are what they were."""
        self.swaps_weights = False
        """Whether `evaluation` puts other weights in: batch statistics must be taken anew."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of the optimizer."""
        return self.optimizer.param_groups

    @property
    def explores(self) -> bool:
        """Whether it tries rates that it will take back: what they do to a loss is no divergence.

        Whoever averages weights begins behind it.
        """
        return False

    @property
    @abstractmethod
    def learning_rate(self) -> float:
        """The rate of the last step; before the first, of the step to come."""

    @abstractmethod
    def step(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        gradient_scale: float = 1.0,
    ) -> None:
        """Choose the rate and perform the optimizer step; gradients are in place.

        Args:
            loss: The mean loss of the batch at the current weights, of which the gradients are.
                With gradients accumulated over several batches, the mean over all of them. It
                carries its graph: what is kept of it is `loss.detach()`.
            closure: Evaluates that loss again, best a `BatchLoss`. A controller that looks at the
                loss after its step does without that look where none is given.
            gradient_scale: What the gradients were multiplied by since `backward`: the factor of
                clipping.
        """

    def end_epoch(self, validation_loss: float) -> None:  # noqa: B027  (most need nothing)
        """Hear the validation loss (nats per example) of the epoch that has just ended."""

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Swap evaluation weights in for the `with` block, where the method keeps any."""
        yield

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what resumes the controller bit for bit; the optimizer's state is apart."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""


class GroupRates:
    """The rates of an optimizer's parameter groups, moved together.

    Each group keeps the ratio of its rate to that of the first group that had one; 0 stays 0.
    Where a scheduler has already set all of them to 0, the rates that it began with count.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        if not any(rates):
            rates = [float(group.get("initial_lr", 0.0)) for group in optimizer.param_groups]
        self._base = next((rate for rate in rates if rate > 0), 0.0)
        self._ratios = [self._ratio(rate) for rate in rates]

    def set(self, rate: float) -> None:
        """Set the rate of the first group that had one, and every other in its ratio.

        A group that was added since has the ratio of the rate that it was added with.
        """
        groups = self._optimizer.param_groups
        self._ratios += [self._ratio(float(group["lr"])) for group in groups[len(self._ratios) :]]
        for group, ratio in zip(groups, self._ratios, strict=True):
            group["lr"] = rate * ratio

    def state_dict(self) -> dict[str, Any]:
        """Return the ratios, and the rate that they are of: a resumed optimizer has others."""
        return {"base": self._base, "ratios": [*self._ratios]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: It is of an optimizer with more groups.
        """
        if len(state["ratios"]) > len(self._optimizer.param_groups):
            raise ValueError(
                f"the state is of {len(state['ratios'])} parameter groups, "
                f"the optimizer has {len(self._optimizer.param_groups)}"
            )
        self._base, self._ratios = state["base"], [*state["ratios"]]

    def _ratio(self, rate: float) -> float:
        return rate / self._base if self._base else 1.0


def _is_whole(number: object) -> bool:
    """Return True for whole numbers of numpy too; a bool is a setting in the wrong place."""
    try:
        operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(number, bool)


def step_leaving_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Perform the optimizer step, and leave the gradients as they are.

    Torch's `foreach` form of SGD adds Nesterov's momentum to them in place.
    """
    groups = [group for group in optimizer.param_groups if group.get("nesterov")]
    kept = [group.get("foreach") for group in groups]
    try:
        for group in groups:
            if "foreach" in group:
                group["foreach"] = False
        optimizer.step()
    finally:
        for group, value in zip(groups, kept, strict=True):
            if "foreach" in group:
                group["foreach"] = value


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    parameters = inspect.signature(optimizer.step).parameters
    closure = parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def weights_with_gradients(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return the parameters that the coming step will move: those that have a gradient."""
    return [
        weight
        for group in optimizer.param_groups
        for weight in group["params"]
        if weight.grad is not None
    ]
