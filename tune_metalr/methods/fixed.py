"""The `fixed` controller: the study's rate on a schedule that is known before training."""

from typing import Any

import torch

from tune_metalr.methods.base import Closure, LearningRateController
from tune_metalr.methods.schedules import factor


class FixedSchedule(LearningRateController):
    """Multiplies each parameter group's own rate by the schedule's factor."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        schedule: str = "constant",
        warmup_fraction: float = 0.0,
    ) -> None:
        super().__init__(optimizer, total_steps)
        self._schedule = schedule
        self._warmup_fraction = warmup_fraction
        self._base_rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._step = 0
        self._learning_rate = self._base_rates[0] * self._factor()

    @property
    def learning_rate(self) -> float:
        """The rate of the first parameter group."""
        return self._learning_rate

    def step(self, loss: torch.Tensor, closure: Closure | None = None) -> None:
        """Perform the optimizer step; loss and closure are not looked at."""
        factor_now = self._factor()
        for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor_now
        self._learning_rate = self._base_rates[0] * factor_now
        self.optimizer.step()
        self._step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the step count and the last rate."""
        return {"step": self._step, "learning_rate": self._learning_rate}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        self._step = state["step"]
        self._learning_rate = state["learning_rate"]

    def _factor(self) -> float:
        return factor(
            self._schedule,
            step=min(self._step, self.total_steps - 1),
            total_steps=self.total_steps,
            warmup_fraction=self._warmup_fraction,
        )
