"""The `online-mlp` controller: a small network maps what training shows to the rate.

    rate_t = initial rate * exp(network(x_t))

It sees five numbers: the log of the loss, the log of the gradient's norm, how far each is from its
running mean, and the curvature along a recent step u, from the loss f of the same batch before and
after it: sigma = 2 (1 - (f(w) - f(w - u)) / <g, u>), for a quadratic u'Hu / <g, u>. It is trained
meanwhile, every ten steps, by the normalised hypergradient -cos(g_(t+1), u_t), with Adam at 1e-4
and clipping to 1.

At that meta rate an output moves by about 1e-3 an update, so that some thousand steps change the
rate little; and a hypergradient is greedy (Wu et al. 2018, arXiv 1803.02021). The method is here to
be reported as it is.
"""

import math
from functools import partial
from typing import Any

import torch

from tune_metalr.batch_loss import Closure, evaluate_again
from tune_metalr.controller import (
    GroupRates,
    LearningRateController,
    step_leaving_gradients,
)
from tune_metalr.metalr.probe import sigma_of
from tune_metalr.methods.last_move import LastMove
from tune_metalr.methods.rate_network import RateNetwork

META_RATE = 1e-4
META_INTERVAL = 10
PROBE_INTERVAL = 64
SAMPLE = 2**16
"""About as many numbers of a large tensor stand for all of them, in the cosine and in the norm."""

_NUM_INPUTS = 5
_MEMORY = 0.9
"""Share of the earlier mean in running means."""
_RESOLUTION = 1e-5
"""Relative change of a float32 mean loss, below which it is rounding."""
_LOG_SCALE = 3.0
_LARGEST_INPUT = 3.0
_SMALLEST = 1e-12
"""Stands in for a loss or a norm that has no logarithm."""


class OnlineMLP(LearningRateController):
    """A small network, trained during training, sets the rate; untrained, it is the initial one.

    Of a tensor of more than 131,072 numbers, every n-th row alone is looked at, about 65,536
    numbers. With a closure, every 64th step is looked at again for its curvature: one more forward
    pass, and a copy of all weights meanwhile. Where the step does not go downhill, or too little
    for the loss to tell, the last curvature stays; without a closure it is 0.

    Where the loss or the gradient's norm is not finite, the network is given what it was given
    before; an undefined cosine teaches nothing. A loss of 0 or below counts as 1e-12.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        *,
        meta_rate: float = META_RATE,
        meta_interval: int = META_INTERVAL,
        probe_interval: int = PROBE_INTERVAL,
    ) -> None:
        super().__init__(optimizer, total_steps)
        self._network = RateNetwork(_NUM_INPUTS, meta_rate=meta_rate)
        self._meta_interval = meta_interval
        self._probe_interval = probe_interval
        self._rates = GroupRates(optimizer)
        self._initial_rate = float(optimizer.param_groups[0]["lr"])
        self._learning_rate = self._initial_rate
        self._last_move = LastMove(optimizer, sample=SAMPLE)
        self._step = 0
        self._curvature = 0.0
        self._means: list[float] = []
        self._features = [0.0] * _NUM_INPUTS
        self._given: list[list[float]] = []
        self._cosines: list[float] = []

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
        """Learn from how the last step went, set the rate and perform the optimizer step."""
        agreement = self._last_move.agreement()
        self._learn(agreement.cosine)
        norm = agreement.gradient_norm / gradient_scale if gradient_scale else math.nan
        self._look(float(loss.detach()), norm)
        self._given.append(list(self._features))
        self._learning_rate = self._initial_rate * math.exp(
            self._network.log_factor(self._features)
        )
        self._rates.set(self._learning_rate)
        self._move(loss, closure, gradient_scale)
        self._step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the network, what it was given since it last learned, and the last move."""
        return {
            "step": self._step,
            "initial_rate": self._initial_rate,
            "learning_rate": self._learning_rate,
            "network": self._network.state_dict(),
            "last_move": self._last_move.state_dict(),
            "curvature": self._curvature,
            "means": list(self._means),
            "features": list(self._features),
            "given": [list(row) for row in self._given],
            "cosines": list(self._cosines),
            "forward_evaluations": self.forward_evaluations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the step of `state`."""
        self._step = state["step"]
        self._initial_rate = state["initial_rate"]
        self._learning_rate = state["learning_rate"]
        self._network.load_state_dict(state["network"])
        self._last_move.load_state_dict(state["last_move"])
        self._curvature = state["curvature"]
        self._means = list(state["means"])
        self._features = list(state["features"])
        self._given = [list(row) for row in state["given"]]
        self._cosines = list(state["cosines"])
        self.forward_evaluations = state["forward_evaluations"]

    def _learn(self, cosine: float) -> None:
        """Credit the last step with the cosine; after enough steps, train the network."""
        if len(self._cosines) < len(self._given):
            self._cosines.append(cosine)
        if len(self._cosines) >= self._meta_interval:
            self._network.learn(self._given, self._cosines)
            self._given, self._cosines = [], []

    def _look(self, loss: float, gradient_norm: float) -> None:
        """Turn what training shows into the network's inputs."""
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            return
        logs = [math.log(max(value, _SMALLEST)) for value in (loss, gradient_norm)]
        means = self._means or logs
        changes = [log - mean for log, mean in zip(logs, means, strict=True)]
        self._means = [
            mean + (1 - _MEMORY) * change for mean, change in zip(means, changes, strict=True)
        ]
        inputs = [*(log / _LOG_SCALE for log in logs), *changes, self._curvature]
        self._features = [_bounded(value) for value in inputs]

    def _move(self, loss: torch.Tensor, closure: Closure | None, gradient_scale: float) -> None:
        """Perform the optimizer step, now and then with a look at its curvature."""
        is_probed = self._step % self._probe_interval == 0 and gradient_scale > 0
        if closure is None or not is_probed:
            with self._last_move.recorded():
                self.optimizer.step()
            return
        product = self._last_move.record_whole(partial(step_leaving_gradients, self.optimizer))
        self._probe(float(loss.detach()), closure, foretold=product / gradient_scale)

    def _probe(self, before: float, closure: Closure, *, foretold: float) -> None:
        """Take the curvature of the step just made, where its decrease can be told."""
        if not foretold > _RESOLUTION * abs(before):
            return
        self.forward_evaluations += 1
        sigma = sigma_of(foretold, before - evaluate_again(closure))
        if sigma is not None and not math.isnan(sigma):
            self._curvature = _bounded(sigma)


def _bounded(value: float) -> float:
    return max(-_LARGEST_INPUT, min(_LARGEST_INPUT, value))
