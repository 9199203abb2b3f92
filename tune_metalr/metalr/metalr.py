"""MetaLR: the rate of every step, set without tuning: the prior, corrected by second-order probes.

Now and then MetaLR looks at a step from both sides (`probe`): one more forward pass on the same
batch. What it sees moves the rate away from the prior's where, and only where, it says something:

- Inside the dead band of its family nothing moves. Under Adam sigma hardly tells the rate (in small
  convolutional networks eight times the rate raise it from .37 to .47, and on texts it is near 0
  early at every rate), so only its upper end is used; under SGD with momentum both are.
- The lower end counts only near the peak: on the way up and down a small sigma is meant.
- Outside, the log rate moves by the excess over the slope of sigma against the log rate, at most by
  a factor of 1.5 a probe, and stays within a factor of 4 of the prior.
- A step that has raised the loss by half is taken back, the rate halved, beyond that factor if need
  be, and the next step is looked at too: the prior does not know this problem.
- Between the looks a guard hears every loss (`guard`). After a blow-up it puts the weights back to
  those of some steps before; the rate is halved, and grows back within 64 steps: mostly another
  order of batches is all that is needed.

Sigma is taken from running means of foretold and real decreases: single steps that momentum leads
across the slope would give any number.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from tune_metalr.batch_loss import Closure
from tune_metalr.controller import step_leaving_gradients, weights_with_gradients
from tune_metalr.metalr.features import FeatureTracker
from tune_metalr.metalr.guard import KEPT_EVERY, Guard
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.metalr.prior_controller import PriorController
from tune_metalr.metalr.probe import Probe, Reading, is_probed, sigma_of
from tune_metalr.metalr.residual import Residual, shipped_residual


class DeadBand(NamedTuple):
    """Values of sigma at which the prior's rate is left alone."""

    low: float
    high: float
    slope: float
    """Of sigma against the log of the rate: what an excess is divided by."""


DEAD_BANDS: Mapping[Family, DeadBand] = MappingProxyType(
    {
        Family.ADAM: DeadBand(-math.inf, 1.0, 0.2),
        Family.SGD_MOMENTUM: DeadBand(0.1, 1.0, 0.5),
    }
)

_MEMORY = 0.6
"""Share of the earlier means in the running means."""
_NEAR_THE_PEAK = 0.5
_LARGEST_MOVE = math.log(1.5)
_BOUND = math.log(4.0)
_RETREAT = math.log(2.0)
_MOST_RETREATS = 60
_RESPITE_STEPS = 64
"""After a blow-up, until the rate is no longer lower for it."""
_LEAST_RESPITE = -5 * _RETREAT

CONSULTED_BEFORE = 1 / 4
"""Share of the run before which the residual is asked, at the last look."""


class MetaLR(PriorController):
    """The prior, corrected by second-order probes; without a closure, the prior alone.

        metalr = MetaLR(optimizer, total_steps=len(loader) * epochs)
        ...
        batch_loss = BatchLoss(lambda: loss_function(model(inputs), labels))
        loss = batch_loss()
        loss.backward()
        metalr.step(loss, batch_loss)

    A probe costs a forward pass: six in the first 32 steps, then one in 64 steps; so does a look at
    a loss that is suspected of a blow-up. One copy of the weights is held. A step whose loss is not
    finite is not taken, and is looked at as a blow-up is; if the batch is no better at the weights
    of before, from the second in a row on, each halves the rate. A step that does not go downhill,
    or too little for the loss to resolve, teaches nothing. Under Adam a rate that was lowered by
    looks at steps stays so. A gradient that is not finite beside a loss that is, is the optimizer's
    to bear. `GradScaler` leaves such steps out, and those of a loss that is not finite: of these
    the guard hears nothing. Statistics of batch normalisation are not put back with the weights.
    Of several processes that train one model, all must be given the same loss and a closure of it.
    If the closure raises, the weights are those before the step; the optimizer has counted it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        initial_lr: float = 1e-3,
        sets_weight_decay: bool = True,
        prior: Prior | None = None,
        residual: Residual | None = None,
    ) -> None:
        """Take the arguments of the prior, and what moves its rate by the features of the run.

        With another law than the shipped one, the shipped residual is of no use: then there is
        none but the one that is given.
        """
        self._residual = residual
        self._tracker = FeatureTracker(total_steps)
        self._log_move: float | None = None
        self._log_scale = 0.0
        self._centre = 0.0
        self._foretold: float | None = None
        self._decrease = 0.0
        self._has_retreated = False
        self._log_respite = 0.0
        super().__init__(
            optimizer,
            total_steps,
            initial_lr=initial_lr,
            sets_weight_decay=sets_weight_decay,
            prior=prior,
        )
        self._band = DEAD_BANDS[self.family]
        self._guard = Guard(optimizer)
        if prior is None and residual is None:
            self._residual = shipped_residual(self.family)

    @property
    def scale(self) -> float:
        """The factor on the prior's rate that probes, residual and guard have led to."""
        wanted = self._log_scale + (self._log_move or 0.0)
        bounded = max(self._centre - _BOUND, min(self._centre + _BOUND, wanted))
        return math.exp(bounded + self._log_respite)

    @property
    def sigma(self) -> float | None:
        """Sigma over the last probes; `None` before the first that says something."""
        return None if self._foretold is None else sigma_of(self._foretold, self._decrease)

    def state_dict(self) -> dict[str, Any]:
        """Return the prior's state, and what probes have led to."""
        return super().state_dict() | {
            "log_scale": self._log_scale,
            "centre": self._centre,
            "foretold": self._foretold,
            "decrease": self._decrease,
            "has_retreated": self._has_retreated,
            "log_move": self._log_move,
            "log_respite": self._log_respite,
            "tracker": self._tracker.state_dict(),
            "guard": self._guard.state_dict(),
            "forward_evaluations": self.forward_evaluations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        super().load_state_dict(state)
        self._log_scale = state["log_scale"]
        self._centre = state["centre"]
        self._foretold = state["foretold"]
        self._decrease = state["decrease"]
        self._has_retreated = state["has_retreated"]
        self._log_move = state["log_move"]
        self._log_respite = state["log_respite"]
        self._tracker.load_state_dict(state["tracker"])
        self._guard.load_state_dict(state["guard"])
        self.forward_evaluations = state["forward_evaluations"]

    def _planned(self) -> float:
        return super()._planned() * self.scale

    def _skip(self, closure: Closure | None) -> None:
        was_skipped = self._skipped_last
        super()._skip(closure)
        if closure is not None and self._is_put_back(math.inf, closure):
            return
        if was_skipped:
            self._retreat()

    def _move(self, loss: torch.Tensor, closure: Closure | None, gradient_scale: float) -> None:
        value = float(loss.detach())
        if self._is_listening:
            self._tracker.hear(self._step, value)
        self._log_respite = min(0.0, self._log_respite + _RETREAT / _RESPITE_STEPS)
        if closure is None:
            self._guard.forget()
        elif self._has_blown_up(value, closure):
            return
        is_due = closure is not None and (self._has_retreated or is_probed(self._step))
        weights = weights_with_gradients(self.optimizer) if is_due else []
        if closure is None or not weights:
            self.optimizer.step()
            return
        self._guard.keep()
        probe = Probe(weights, before=self._guard.kept(weights))
        step_leaving_gradients(self.optimizer)
        self.forward_evaluations += 1
        try:
            reading = probe.read(loss, closure, gradient_scale=gradient_scale)
        except BaseException:
            probe.undo()
            raise
        if reading.has_failed:
            probe.undo()
            self._guard.repair_optimizer()
            self._retreat()
        else:
            self._has_retreated = False
            self._hear(reading)
            self._consult(reading, probe, gradient_scale)

    def _has_blown_up(self, loss: float, closure: Closure) -> bool:
        """Return whether the weights were to blame for the loss; else hear it, and keep them."""
        if self._guard.suspects(loss) and self._is_put_back(loss, closure):
            return True
        if self._step % KEPT_EVERY == 0 and self._guard.is_calm(loss):
            self._guard.keep()
        self._guard.hear(loss)
        return False

    def _is_put_back(self, loss: float, closure: Closure) -> bool:
        """Return whether the weights are those of before: the gradients in place are of others."""
        if not self._guard.has_kept:
            return False
        self.forward_evaluations += 1
        if not self._guard.puts_back(loss, closure):
            return False
        self._log_respite = max(_LEAST_RESPITE, self._log_respite - _RETREAT)
        return True

    def _hear(self, reading: Reading) -> None:
        """Move the rate, if sigma is outside the dead band."""
        if reading.sigma is None:
            return
        memory = 0.0 if self._foretold is None else _MEMORY
        self._foretold = memory * (self._foretold or 0.0) + (1 - memory) * reading.foretold
        self._decrease = memory * self._decrease + (1 - memory) * reading.decrease
        excess = self._excess(sigma_of(self._foretold, self._decrease) or 0.0)
        move = max(-_LARGEST_MOVE, min(_LARGEST_MOVE, -excess))
        moved = self._log_scale + move
        self._log_scale = max(self._centre - _BOUND, min(self._centre + _BOUND, moved))

    def _consult(self, reading: Reading, probe: Probe, gradient_scale: float) -> None:
        """Let the residual move the rate, once: at the last look before a quarter of the run."""
        if self._residual is None or not self._is_listening:
            return
        size = probe.measure(gradient_scale=gradient_scale)
        features = self._tracker.look(self._step, self._learning_rate, reading, size)
        if not any(map(is_probed, range(self._step + 1, self._end_of_listening))):
            self._log_move = self._residual.log_move(features, total_steps=self.total_steps)

    @property
    def _is_listening(self) -> bool:
        """Whether the residual is still to be asked."""
        is_early = self._step < self._end_of_listening
        return self._residual is not None and self._log_move is None and is_early

    @property
    def _end_of_listening(self) -> int:
        return math.ceil(CONSULTED_BEFORE * self.total_steps)

    def _excess(self, sigma: float) -> float:
        """Return by how much the log rate is too high, as far as sigma tells."""
        band = self._band
        if sigma > band.high:
            return (sigma - band.high) / band.slope
        if sigma < band.low and self.planned_share >= _NEAR_THE_PEAK:
            return (sigma - band.low) / band.slope
        return 0.0

    def _retreat(self) -> None:
        """Halve the rate and look again; the bound moves along: the prior does not hold here."""
        self._has_retreated = True
        lowest = -_MOST_RETREATS * _RETREAT
        self._log_scale = max(lowest, self._log_scale - _RETREAT)
        self._centre = max(lowest, self._centre - _RETREAT)
