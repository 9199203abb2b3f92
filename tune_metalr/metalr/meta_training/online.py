"""An online update of what MetaLR decides, to be compared with none.

The rate gets one more factor, exp(b). Each look gives the derivative by b of the loss after its
step. With the step d and the gradient g before it, that is -<g, d> (1 - sigma) where the loss is
quadratic along d: in units of what was foretold to be gained, sigma - 1. b follows it by Adam at
1e-4, each derivative clipped to 1, within a factor of 1.2; where the smoothed loss has risen since
the last look, the last update is taken back. A run of 2,500 steps has 45 looks: there b ends within
0.005 of 0, and hardly anything can come of it.
"""

import math

import torch

from tune_metalr.metalr.metalr import MetaLR
from tune_metalr.metalr.prior import Prior
from tune_metalr.metalr.probe import Reading
from tune_metalr.metalr.residual import Residual

META_RATE = 1e-4
_CLIP = 1.0
_BOUND = math.log(1.2)
_MEMORIES = (0.9, 0.999)
_LOSS_MEMORY = 0.9


class OnlineMetaLR(MetaLR):
    """MetaLR whose rate is corrected while it trains. It is not resumed: it is an experiment."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        prior: Prior,
        residual: Residual | None,
    ) -> None:
        self.correction = 0.0
        self._before = 0.0
        self._moments = (0.0, 0.0)
        self._updates = 0
        self._smoothed: float | None = None
        self._smoothed_before = math.inf
        super().__init__(optimizer, total_steps, prior=prior, residual=residual)

    def _planned(self) -> float:
        return super()._planned() * math.exp(self.correction)

    def _hear(self, reading: Reading) -> None:
        super()._hear(reading)
        self._judge_the_last_update()
        if reading.sigma is not None:
            self._update(max(-_CLIP, min(_CLIP, reading.sigma - 1)))

    def _judge_the_last_update(self) -> None:
        if self._smoothed is not None:
            if self._smoothed > self._smoothed_before:
                self.correction = self._before
            self._smoothed_before = self._smoothed

    def _update(self, derivative: float) -> None:
        self._updates += 1
        shares = [1 - memory**self._updates for memory in _MEMORIES]
        self._moments = (
            _MEMORIES[0] * self._moments[0] + (1 - _MEMORIES[0]) * derivative,
            _MEMORIES[1] * self._moments[1] + (1 - _MEMORIES[1]) * derivative**2,
        )
        first, second = (
            moment / share for moment, share in zip(self._moments, shares, strict=True)
        )
        self._before = self.correction
        moved = self.correction - META_RATE * first / (math.sqrt(second) + 1e-8)
        self.correction = max(-_BOUND, min(_BOUND, moved))

    def step(self, loss: torch.Tensor, *rest: object, **options: object) -> None:
        """Hear the loss, and take MetaLR's step."""
        value = float(loss.detach())
        if math.isfinite(value):
            earlier = value if self._smoothed is None else self._smoothed
            self._smoothed = _LOSS_MEMORY * earlier + (1 - _LOSS_MEMORY) * value
        super().step(loss, *rest, **options)  # type: ignore[arg-type]
