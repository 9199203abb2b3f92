"""Looks at a run that change nothing: what its features are, at sixteen points of its course."""

import math
from collections.abc import Callable

import torch

from tune_metalr.controller import weights_with_gradients
from tune_metalr.metalr.features import Features, FeatureTracker
from tune_metalr.metalr.probe import Probe, is_probed

POINTS = 16
"""The features of the last look before each sixteenth of the run are kept."""


class Watch:
    """Looks where MetaLR would, and keeps the features of some looks."""

    def __init__(self, total_steps: int) -> None:
        self._total_steps = total_steps
        self._tracker = FeatureTracker(total_steps)
        self._kept: dict[int, Features] = {}

    @property
    def features(self) -> list[Features | None]:
        """What was seen within each sixteenth of the run; `None` where there was no look."""
        return [self._kept.get(point) for point in range(POINTS)]

    def step(
        self,
        step: int,
        optimizer: torch.optim.Optimizer,
        loss: torch.Tensor,
        closure: Callable[[], torch.Tensor],
    ) -> None:
        """Perform the optimizer step; look at it, if it is one of those that are looked at."""
        if math.isfinite(float(loss)):
            self._tracker.hear(step, float(loss))
        if not is_probed(step):
            optimizer.step()
            return
        probe = Probe(weights_with_gradients(optimizer))
        optimizer.step()
        reading = probe.read(loss, closure, gradient_scale=1.0)
        rate = float(optimizer.param_groups[0]["lr"])
        point = step * POINTS // self._total_steps
        self._kept[point] = self._tracker.look(
            step, rate, reading, probe.measure(gradient_scale=1.0)
        )
