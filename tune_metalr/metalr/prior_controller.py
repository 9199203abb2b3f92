"""The `prior` controller: what is known before training, and nothing else."""

import math
from typing import Any

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import GroupRates, LearningRateController
from tune_metalr.metalr.prior import Family, Prior, family_of, priors, shape, width_of

_GROWTH = 2.0
_SMALLEST_UNIT = 1e-3


class PriorController(LearningRateController):
    """Follows the prior: linear warm-up to a peak, then linearly to 0.

    With SGD the peak is divided by the first loss, so that a loss in other units gives the same
    training. The prior's rate of step t is at most `initial_lr * 2**t`: where the first rate is far
    below the prior, it grows to it in some steps; where it is above, the prior holds.

    A step whose loss is not finite changes no weights.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        initial_lr: float = 1e-3,
        sets_weight_decay: bool = True,
        prior: Prior | None = None,
    ) -> None:
        """Set the weight decay, and wait for the first step.

        Args:
            optimizer: Any; groups keep the ratios of their rates. SGD has a prior of its own, all
                others follow that of Adam.
            total_steps: Planned steps; behind them the last rate stays.
            initial_lr: Highest rate of the first step.
            sets_weight_decay: Whether the prior's weight decay takes the place of the optimizer's.
                Groups without any keep that, if others have some. L2 penalties of optimizers that
                normalise their steps are left alone.
            prior: Another law than the shipped one.

        Raises:
            ValueError: A number is out of its range.
        """
        super().__init__(optimizer, total_steps)
        is_number = hasattr(initial_lr, "__float__")
        if not (is_number and math.isfinite(initial_lr) and initial_lr > 0):
            raise ValueError(f"initial_lr must be a number above 0, not {initial_lr!r}")
        self.family = family_of(optimizer)
        self._prior = prior or priors()[self.family]
        self._width = width_of(
            weight for group in optimizer.param_groups for weight in group["params"]
        )
        self._rates = GroupRates(optimizer)
        self._initial_lr = initial_lr
        self._step = 0
        self._skipped_last = False
        self._unit = _unit_of(optimizer, 1.0) if self.family is Family.SGD_MOMENTUM else 1.0
        self._learning_rate = self._planned()
        if sets_weight_decay:
            _set_weight_decay(optimizer, self._prior.weight_decay)

    @property
    def learning_rate(self) -> float:
        """The rate of the last step, in the first parameter group that has any.

        Before the first step of SGD it is that of a loss of 1: what it will be, the loss decides.
        """
        return self._learning_rate

    @property
    def planned_share(self) -> float:
        """The share of its peak that the prior has at the step to come."""
        return shape(self._step, self.total_steps, self._prior.warmup_fraction)

    def step(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        gradient_scale: float = 1.0,
    ) -> None:
        """Perform the optimizer step. Of losses, the first counts, and whether one is finite."""
        if not (closure is None or callable(closure)):
            raise TypeError(f"a closure is a function that returns the loss, not {closure!r}")
        value = float(loss.detach())
        if not math.isfinite(value):
            self._skip(closure)
            return
        if self._step == self.skipped_steps and self.family is Family.SGD_MOMENTUM:
            self._unit = _unit_of(self.optimizer, value)
        self._learning_rate = self._planned()
        self._rates.set(self._learning_rate)
        self._move(loss, closure, gradient_scale)
        self._skipped_last = False
        self._step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the step count, the last rate, the unit of rates and the ratios of groups."""
        return {
            "step": self._step,
            "skipped_steps": self.skipped_steps,
            "skipped_last": self._skipped_last,
            "learning_rate": self._learning_rate,
            "unit": self._unit,
            "rates": self._rates.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        self._step = state["step"]
        self.skipped_steps = state["skipped_steps"]
        self._skipped_last = state["skipped_last"]
        self._learning_rate = state["learning_rate"]
        self._unit = state["unit"]
        if "rates" in state:  # those saved before have none
            self._rates.load_state_dict(state["rates"])

    def _skip(self, closure: Closure | None) -> None:
        self.skipped_steps += 1
        self._skipped_last = True
        self._step += 1

    def _move(self, loss: torch.Tensor, closure: Closure | None, gradient_scale: float) -> None:
        self.optimizer.step()

    def _planned(self) -> float:
        """Return the prior's rate of the step to come."""
        peak = self._unit * self._prior.peak_rate(self.total_steps, self._width)
        planned = peak * self.planned_share
        # The exponent is bounded: 2.0**t would overflow, and behind the last step nothing grows.
        doublings = min(self._step, self.total_steps - 1, 100)
        return min(planned, self._initial_lr * _GROWTH**doublings)


def _unit_of(optimizer: torch.optim.Optimizer, first_loss: float) -> float:
    """Return what the prior of SGD is a multiple of; a first loss of 0 gives no unit.

    A tiny one belongs to a model that is already trained: it must not blow up the rate.
    """
    momentum = float(optimizer.param_groups[0].get("momentum", 0.0))
    return (1 - momentum) / (max(abs(first_loss), _SMALLEST_UNIT) if first_loss else 1.0)


def _set_weight_decay(optimizer: torch.optim.Optimizer, weight_decay: float) -> None:
    decays = [group.get("weight_decay") for group in optimizer.param_groups]
    is_one = len(set(decays)) == 1
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        if _is_decay(optimizer, group) and (is_one or decay):
            group["weight_decay"] = weight_decay


def _is_decay(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> bool:
    """Return whether the group's weight decay is of the kind that was fitted."""
    if "weight_decay" not in group:
        return False
    is_decoupled = group.get(
        "decoupled_weight_decay", getattr(optimizer, "decouples_weight_decay", False)
    )
    return family_of(optimizer) is Family.SGD_MOMENTUM or bool(is_decoupled)
