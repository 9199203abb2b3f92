"""The `fixed` controller: the study's rate, on the schedule that the study names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import LearningRateController
from tune_metalr.methods.imported import keeps_evaluation_weights, takes_loss
from tune_metalr.methods.schedules import Schedule


class FixedSchedule(LearningRateController):
    """Multiplies each parameter group's own rate by the schedule's factor.

    An optimizer that keeps evaluation weights of its own, behind `train()` and `eval()` as
    Schedule-Free's do, is switched for evaluations. One whose step takes the loss, as MoMo's do,
    is given it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        schedule: str = "constant",
        warmup_fraction: float = 0.0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(optimizer, total_steps)
        self._schedule = Schedule(
            schedule, total_steps, warmup_fraction=warmup_fraction, settings=settings
        )
        self._base_rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._gives_loss = takes_loss(optimizer)
        self._step = 0
        self._learning_rate = self._base_rates[0] * self._schedule.factor(0)
        self.swaps_weights = keeps_evaluation_weights(optimizer)
        if self.swaps_weights:
            self._switch("train")

    @property
    def learning_rate(self) -> float:
        """The rate of the first parameter group."""
        return self._learning_rate

    def step(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        gradient_scale: float = 1.0,
    ) -> None:
        """Perform the optimizer step."""
        factor = self._schedule.factor(self._step)
        for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        self._learning_rate = self._base_rates[0] * factor
        if self._gives_loss:
            self.optimizer.step(loss=loss.detach())  # type: ignore[call-overload]
        else:
            self.optimizer.step()
        self._step += 1

    def end_epoch(self, validation_loss: float) -> None:
        """Pass the loss to the schedule: one of them waits for a plateau."""
        self._schedule.end_epoch(validation_loss)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Let the optimizer put its evaluation weights in, if it keeps any."""
        if not self.swaps_weights:
            yield
            return
        self._switch("eval")
        try:
            yield
        finally:
            self._switch("train")

    def state_dict(self) -> dict[str, Any]:
        """Return the step count, the last rate and the schedule's state."""
        return {
            "step": self._step,
            "learning_rate": self._learning_rate,
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        self._step = state["step"]
        self._learning_rate = state["learning_rate"]
        self._schedule.load_state_dict(state["schedule"])

    def _switch(self, name: str) -> None:
        getattr(self.optimizer, name)()
