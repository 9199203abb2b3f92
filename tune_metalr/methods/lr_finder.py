"""The `lr-finder` controller: a range test (`range_test`), then one cycle up to the rate it chose.

The recipe of practitioners without tuning. Steps of the test are steps of the run: a tenth of the
planned ones, at most 100. Their losses count as training too.
"""

import copy
from typing import Any, NamedTuple

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import GroupRates, LearningRateController
from tune_metalr.methods.range_test import RangeTest
from tune_metalr.methods.schedules import Schedule

TEST_SHARE = 0.1
MOST_TEST_STEPS = 100
FEWEST_TEST_STEPS = 10
"""With fewer, a step would skip more than a factor of 10 in the rate: the test is left out."""


class LRFinder(LearningRateController):
    """Tries rates from 1e-4 to 1e4 times the initial one, then trains anew at what it chose.

    Its choice is a tenth of the rate at which the smoothed loss is lowest; or the initial rate,
    where the loss has not fallen by 2 % or the run is shorter than 100 steps. The step that ends
    the test moves no weight: it puts back the first weights and the optimizer's first state. Both
    are kept meanwhile: a copy of the weights, and usually nothing. Batch statistics are no weights
    and carry on: some hundred steps wash out what the test has left in them, if it is finite.

    A loss that is not finite ends the test. Behind it, losses and gradients are not looked at.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, total_steps: int) -> None:
        super().__init__(optimizer, total_steps)
        self._rates = GroupRates(optimizer)
        self._step = 0
        self._first: _FirstState | None = None
        rate = float(optimizer.param_groups[0]["lr"])
        num_steps = min(MOST_TEST_STEPS, int(TEST_SHARE * total_steps))
        self._test: RangeTest | None = None
        if num_steps >= FEWEST_TEST_STEPS:
            self._test = RangeTest(rate, num_steps)
        self._begin_cycle(rate, start=0)
        self._learning_rate = self._planned()

    @property
    def learning_rate(self) -> float:
        """The rate of the first parameter group."""
        return self._learning_rate

    @property
    def explores(self) -> bool:
        """Whether the range test still runs."""
        return self._test is not None

    @property
    def peak_rate(self) -> float:
        """The highest rate of the cycle: the test's choice, once it is over."""
        return self._peak_rate

    def step(
        self,
        loss: torch.Tensor,
        closure: Closure | None = None,
        *,
        gradient_scale: float = 1.0,
    ) -> None:
        """Perform the optimizer step; the step that ends the test goes back to the start."""
        if self._test is not None:
            self._first = self._first or _FirstState.of(self.optimizer)
            if self._test.hear(float(loss.detach())):
                self._end_test(self._test, self._first)
                return
        self._learning_rate = self._planned()
        self._rates.set(self._learning_rate)
        self.optimizer.step()
        self._step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the test so far with the first weights, or the rate that it chose."""
        return {
            "step": self._step,
            "learning_rate": self._learning_rate,
            "peak_rate": self._peak_rate,
            "cycle_start": self._cycle_start,
            "test": self._test and self._test.state_dict(),
            "first": self._first and self._first._asdict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        self._step = state["step"]
        self._learning_rate = state["learning_rate"]
        self._begin_cycle(state["peak_rate"], start=state["cycle_start"])
        self._test = state["test"] and RangeTest.from_state(state["test"])
        self._first = state["first"] and _FirstState(**state["first"])

    def _planned(self) -> float:
        """Return the rate of the step to come."""
        if self._test is not None:
            return self._test.rate
        return self._peak_rate * self._cycle.factor(self._step - self._cycle_start)

    def _begin_cycle(self, peak_rate: float, *, start: int) -> None:
        self._peak_rate = peak_rate
        self._cycle_start = start
        self._cycle = Schedule("one-cycle", max(1, self.total_steps - start))

    def _end_test(self, test: RangeTest, first: "_FirstState") -> None:
        """Go back to the start. The gradients in place belong to the test: no weight moves."""
        first.restore(self.optimizer)
        self._test = self._first = None
        self._step += 1
        self._begin_cycle(test.choice() or self._peak_rate, start=self._step)
        self._learning_rate = self._planned()
        self._rates.set(self._learning_rate)


class _FirstState(NamedTuple):
    """What the test puts back. Never changed, so that a saved state may share it."""

    weights: list[torch.Tensor]
    optimizer: dict[str, Any]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer) -> "_FirstState":
        weights = [weight.detach().clone() for weight in _weights(optimizer)]
        return cls(weights, copy.deepcopy(optimizer.state_dict()))

    @torch.no_grad()
    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        torch._foreach_copy_(_weights(optimizer), self.weights)
        # The optimizer would go on in the tensors that it is given.
        optimizer.load_state_dict(copy.deepcopy(self.optimizer))


def _weights(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
