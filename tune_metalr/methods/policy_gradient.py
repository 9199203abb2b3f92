"""The `policy-gradient` controller: reinforcement learning of the rate, during the one training.

Every ten steps a policy (`gaussian_policy`) draws a change of the log rate, at most 0.3 either way.
Its reward is the decrease of the log of the smoothed loss over the ten steps that follow. The log
rate stays within a factor of 100 of the initial one.
"""

import math
from typing import Any

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import GroupRates, LearningRateController
from tune_metalr.methods.gaussian_policy import GaussianPolicy

INTERVAL = 10
SD = 0.1
LARGEST_CHANGE = 0.3
LARGEST_FACTOR = 100.0
POLICY_RATE = 0.01

_NUM_FEATURES = 4
_MEMORY = 0.9
"""Share of the earlier mean in the smoothed loss."""
_LARGEST_REWARD = 1.0
_TREND_SCALE = 10.0
"""Brings a usual decrease of the log loss in ten steps near 1."""
_SMALLEST_LOSS = 1e-12


class PolicyGradient(LearningRateController):
    """A Gaussian policy over changes of the log rate; its reward is how the loss falls.

    The policy sees a constant, the last reward, the progress of training and the last change. The
    first ten steps have the optimizer's rate: what they gain is the first baseline. Draws come from
    a generator of its own.

    A loss that is not finite is left out of the smoothed loss; one of 0 or below counts as 1e-12.
    Gradients are not looked at. Behind the planned steps, progress stays 1.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        seed: int = 0,
        interval: int = INTERVAL,
        policy_rate: float = POLICY_RATE,
    ) -> None:
        super().__init__(optimizer, total_steps)
        self.policy = GaussianPolicy(_NUM_FEATURES, sd=SD, rate=policy_rate, seed=seed)
        self._interval = interval
        self._rates = GroupRates(optimizer)
        self._initial_rate = float(optimizer.param_groups[0]["lr"])
        self._learning_rate = self._initial_rate
        self._log_factor = 0.0
        self._step = 0
        self._smoothed = _SmoothedLoss()
        self._before: float | None = None
        self._drawn: tuple[list[float], float] | None = None
        self._reward = 0.0

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
        """Every ten steps, learn from the last change and draw another; perform the step."""
        self._smoothed.take(float(loss.detach()))
        if self._step % self._interval == 0:
            self._learn()
            if self._step:
                self._change_rate()
        self._rates.set(self._learning_rate)
        self.optimizer.step()
        self._step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the policy, the smoothed loss, and the change that still waits for its reward."""
        return {
            "step": self._step,
            "initial_rate": self._initial_rate,
            "learning_rate": self._learning_rate,
            "log_factor": self._log_factor,
            "policy": self.policy.state_dict(),
            "smoothed": self._smoothed.state_dict(),
            "before": self._before,
            "drawn": self._drawn and (list(self._drawn[0]), self._drawn[1]),
            "reward": self._reward,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        self._step = state["step"]
        self._initial_rate = state["initial_rate"]
        self._learning_rate = state["learning_rate"]
        self._log_factor = state["log_factor"]
        self.policy.load_state_dict(state["policy"])
        self._smoothed.load_state_dict(state["smoothed"])
        self._before = state["before"]
        self._drawn = state["drawn"] and (list(state["drawn"][0]), state["drawn"][1])
        self._reward = state["reward"]

    def _learn(self) -> None:
        """Reward the change that is ten steps old by what the log loss has lost since."""
        now = self._smoothed.log()
        if now is None:
            return
        if self._before is not None:
            self._reward = max(-_LARGEST_REWARD, min(_LARGEST_REWARD, self._before - now))
            if self._drawn is None:
                self.policy.expect(self._reward)
            else:
                self.policy.learn(*self._drawn, self._reward)
        self._before = now

    def _change_rate(self) -> None:
        last_change = self._drawn[1] if self._drawn else 0.0
        features = [
            1.0,
            max(-1.0, min(1.0, _TREND_SCALE * self._reward)),
            min(1.0, self._step / self.total_steps),
            max(-1.0, min(1.0, last_change / LARGEST_CHANGE)),
        ]
        drawn = self.policy.draw(features)
        self._drawn = (features, drawn)
        change = max(-LARGEST_CHANGE, min(LARGEST_CHANGE, drawn))
        bound = math.log(LARGEST_FACTOR)
        self._log_factor = max(-bound, min(bound, self._log_factor + change))
        self._learning_rate = self._initial_rate * math.exp(self._log_factor)


class _SmoothedLoss:
    """A running mean of losses, without the pull of its start."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._weight = 0.0

    def take(self, loss: float) -> None:
        if not math.isfinite(loss):
            return
        self._sum = _MEMORY * self._sum + (1 - _MEMORY) * loss
        self._weight = _MEMORY * self._weight + (1 - _MEMORY)

    def log(self) -> float | None:
        """Return the log of the mean; `None` before the first loss."""
        if not self._weight:
            return None
        return math.log(max(self._sum / self._weight, _SMALLEST_LOSS))

    def state_dict(self) -> dict[str, float]:
        return {"sum": self._sum, "weight": self._weight}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self._sum, self._weight = state["sum"], state["weight"]
