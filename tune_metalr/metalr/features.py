"""What a run shows of itself: numbers that depend on no unit, but for one of them under SGD.

Losses are heard at every step, which costs nothing; the rest comes from looks (`probe`). Ranges and
uses of each are for whoever reads them: `meta_training` decides which of them say anything.
"""

import math
from typing import Any, NamedTuple

from tune_metalr.metalr.probe import Reading, StepSize, sigma_of

_FAST = 0.9
_SLOW = 0.98
_MEMORY = 0.6
"""Share of the earlier means in the means over looks."""

_FIRST_TENTH = 0.1
_SMALLEST = 1e-12


class Features(NamedTuple):
    """What one look has shown. Logarithms are natural; NaN where nothing can be said."""

    loss_position: float
    """Log of the loss over the mean loss of the first tenth of the run."""
    loss_trend: float
    """Log of a fast running mean of the loss over a slow one: negative while it falls."""
    loss_noise: float
    """Log of the loss's mean deviation from its fast running mean, over that mean."""
    sigma: float
    """Second-order: curvature over slope along the steps, over the last looks."""
    foretold: float
    """Log of the share of the loss that the gradient says the step takes off."""
    alignment: float
    """Cosine of gradient and step."""
    relative_step: float
    """Log of the step's norm over that of the weights."""
    update_size: float
    """Log of the step's root mean square over the rate. Under SGD it has the gradient's unit."""
    gradient_trend: float
    """Log of the gradient's norm over its mean in the first tenth of the run."""


class FeatureTracker:
    """Hears losses and looks of one run, and keeps what features need of the past."""

    def __init__(self, total_steps: int) -> None:
        self._total_steps = total_steps
        self._losses = RunningMeans((_FAST, _SLOW))
        self._deviation = RunningMeans((_FAST,))
        self._first_loss = _Mean()
        self._first_gradient = _Mean()
        self._looks = RunningMeans((_MEMORY, _MEMORY))

    def hear(self, step: int, loss: float) -> None:
        """Hear the loss of a step, which is finite."""
        if self._losses.count:
            self._deviation.take(abs(loss - self._losses.values[0]))
        self._losses.take(loss)
        if self._is_first_tenth(step):
            self._first_loss.take(loss)

    def look(self, step: int, rate: float, reading: Reading, size: StepSize) -> Features:
        """Return what a look shows, after the loss of its step was heard."""
        if self._is_first_tenth(step):
            self._first_gradient.take(size.gradient_norm)
        if reading.is_resolved:
            self._looks.take(reading.foretold, reading.decrease)
        fast, slow = self._losses.values
        return Features(
            loss_position=_log_ratio(fast, self._first_loss.value),
            loss_trend=_log_ratio(fast, slow),
            loss_noise=_log_ratio(self._deviation.values[0], fast),
            sigma=self._sigma(),
            foretold=_log_ratio(reading.foretold, 1.0),
            alignment=size.alignment,
            relative_step=_log_ratio(size.step_norm, size.weight_norm),
            update_size=_log_ratio(size.step_norm, rate * math.sqrt(size.num_weights)),
            gradient_trend=_log_ratio(size.gradient_norm, self._first_gradient.value),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all means."""
        return {name: getattr(self, name).state() for name in self._MEANS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        for name in self._MEANS:
            getattr(self, name).restore(state[name])

    _MEANS = ("_losses", "_deviation", "_first_loss", "_first_gradient", "_looks")

    def _is_first_tenth(self, step: int) -> bool:
        return step < max(1, math.ceil(_FIRST_TENTH * self._total_steps))

    def _sigma(self) -> float:
        foretold, decrease = self._looks.values
        sigma = sigma_of(foretold, decrease)
        return math.nan if sigma is None else sigma


class RunningMeans:
    """Exponential means, without the pull of their start."""

    def __init__(self, memories: tuple[float, ...]) -> None:
        self._memories = memories
        self._sums = [0.0] * len(memories)
        self.count = 0

    def take(self, *values: float) -> None:
        """Add one value to all means, or one to each."""
        each = values if len(values) > 1 else values * len(self._memories)
        self._sums = [
            memory * held + (1 - memory) * value
            for memory, held, value in zip(self._memories, self._sums, each, strict=True)
        ]
        self.count += 1

    @property
    def values(self) -> list[float]:
        """The means; NaN before the first value."""
        if not self.count:
            return [math.nan] * len(self._memories)
        shares = [1 - memory**self.count for memory in self._memories]
        return [held / share for held, share in zip(self._sums, shares, strict=True)]

    def state(self) -> list[float]:
        """Return what `restore` needs."""
        return [float(self.count), *self._sums]

    def restore(self, state: list[float]) -> None:
        """Take over what `state` returned."""
        self.count, self._sums = int(state[0]), list(state[1:])


class _Mean:
    """A plain mean."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def take(self, value: float) -> None:
        self._sum += value
        self._count += 1

    @property
    def value(self) -> float:
        """The mean; NaN before the first value."""
        return self._sum / self._count if self._count else math.nan

    def state(self) -> list[float]:
        return [self._sum, float(self._count)]

    def restore(self, state: list[float]) -> None:
        self._sum, self._count = state[0], int(state[1])


def _log_ratio(value: float, unit: float) -> float:
    if not (math.isfinite(value) and math.isfinite(unit) and value > 0 and unit > 0):
        return math.nan
    return math.log(max(value, _SMALLEST) / unit)
