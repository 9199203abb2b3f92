"""The learning-rate range test: which rates it tries, when it ends, what its losses say.

Smith, "Cyclical learning rates for training neural networks", WACV 2017 (arXiv 1506.01186), in the
form that fastai made common: rates that grow geometrically, one a step, until the smoothed loss is
above four times its lowest; then a tenth of the rate at the lowest.
"""

import math
from typing import Any

LOWEST_FACTOR, HIGHEST_FACTOR = 1e-4, 1e4
"""Rates tried, over the initial one."""

STOP_RISE = 3.0
"""Rise of the smoothed loss above its lowest, over the lowest, that ends the test."""

BACK_FROM_LOWEST = 10.0

_MEMORY_OF_100 = 0.9
"""Share of the earlier mean in the smoothed loss, with 100 steps; of fewer steps, fewer count."""
_START_SHARE = 0.1
"""Losses of this share of the test are the start, before rates that teach anything."""
_SMALLEST_FALL = 0.02
"""A smaller relative fall of the smoothed loss may be noise: then the test says nothing."""


class RangeTest:
    """Hears `num_steps` losses, and names the rates that lead from one to the next."""

    def __init__(self, initial_rate: float, num_steps: int) -> None:
        self._initial_rate = initial_rate
        self._num_steps = num_steps
        self._memory = _MEMORY_OF_100 ** (100 / num_steps)
        self._smoothed: list[float] = []
        self._mean = 0.0

    @property
    def rate(self) -> float:
        """The rate to try next."""
        return self._tried(max(0, len(self._smoothed) - 1))

    def hear(self, loss: float) -> bool:
        """Take the loss to which the last rate has led; return whether the test is over."""
        if not math.isfinite(loss):
            return True
        self._mean = self._memory * self._mean + (1 - self._memory) * loss
        # Divided by the weights so far, the mean has no pull of its start.
        smoothed = self._mean / (1 - self._memory ** (len(self._smoothed) + 1))
        self._smoothed.append(smoothed)
        lowest = min(self._smoothed)
        has_risen = smoothed - lowest > STOP_RISE * abs(lowest)
        return has_risen or len(self._smoothed) >= self._num_steps

    def choice(self) -> float | None:
        """Return a tenth of the rate at the lowest smoothed loss; `None` if it says nothing."""
        start = int(_START_SHARE * self._num_steps)
        behind = self._smoothed[start + 1 :]
        if not behind:
            return None
        first, lowest = self._smoothed[start], min(behind)
        if not first - lowest > _SMALLEST_FALL * abs(first):
            return None
        # A loss comes one step after the rate that has led to it.
        return self._tried(start + behind.index(lowest)) / BACK_FROM_LOWEST

    def state_dict(self) -> dict[str, Any]:
        """Return the losses so far."""
        return {
            "initial_rate": self._initial_rate,
            "num_steps": self._num_steps,
            "smoothed": list(self._smoothed),
            "mean": self._mean,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "RangeTest":
        """Return the test that `state_dict` told of."""
        test = cls(state["initial_rate"], state["num_steps"])
        test._smoothed = list(state["smoothed"])
        test._mean = state["mean"]
        return test

    def _tried(self, index: int) -> float:
        """Return the rate of a step: of the last but one, the highest; the last one only looks."""
        share = index / max(1, self._num_steps - 2)
        growth = math.pow(HIGHEST_FACTOR / LOWEST_FACTOR, share)
        return self._initial_rate * LOWEST_FACTOR * growth
