"""A linear Gaussian policy and how it learns: REINFORCE.

An action is drawn from a normal distribution around theta . x with standard deviation s. After its
reward, theta moves along (reward - baseline) times the gradient of the log probability,
(action - theta . x) x / s^2: Williams, "Simple statistical gradient-following algorithms for
connectionist reinforcement learning", Machine Learning 8, 1992.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

CLIP_NORM = 1.0

_BASELINE_MEMORY = 0.9
"""Share of the earlier mean in the running mean of rewards."""


class GaussianPolicy:
    """Draws actions from a generator of its own; theta begins at 0, and so does the mean."""

    def __init__(self, num_features: int, *, sd: float, rate: float, seed: int) -> None:
        self.theta = [0.0] * num_features
        self._sd = sd
        self._rate = rate
        self._baseline: float | None = None
        self._generator = torch.Generator().manual_seed(seed)

    def mean(self, features: Sequence[float]) -> float:
        """Return the mean of the actions."""
        return sum(weight * x for weight, x in zip(self.theta, features, strict=True))

    def draw(self, features: Sequence[float]) -> float:
        """Draw an action."""
        noise = torch.randn((), generator=self._generator, dtype=torch.float64)
        return self.mean(features) + self._sd * float(noise)

    def learn(self, features: Sequence[float], action: float, reward: float) -> None:
        """Make an action likelier whose reward is above the baseline, and the others less so."""
        advantage = self._advantage(reward)
        slope = advantage * (action - self.mean(features)) / self._sd**2
        gradient = [slope * x for x in features]
        norm = math.hypot(*gradient)
        scale = self._rate * min(1.0, CLIP_NORM / norm) if norm > 0 else 0.0
        self.theta = [w + scale * g for w, g in zip(self.theta, gradient, strict=True)]

    def expect(self, reward: float) -> None:
        """Take a reward into the baseline that no action has led to."""
        self._advantage(reward)

    def state_dict(self) -> dict[str, Any]:
        """Return theta, the baseline and the generator's state."""
        return {
            "theta": list(self.theta),
            "baseline": self._baseline,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.theta = list(state["theta"])
        self._baseline = state["baseline"]
        self._generator.set_state(state["generator"].cpu())

    def _advantage(self, reward: float) -> float:
        """Return how far a reward is above the mean of those before; the mean takes it in."""
        if self._baseline is None:
            self._baseline = reward
        advantage = reward - self._baseline
        self._baseline += (1 - _BASELINE_MEMORY) * advantage
        return advantage
