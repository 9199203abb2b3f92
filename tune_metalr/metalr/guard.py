"""Notices that a run has blown up, and puts its weights back to where they were before.

Networks that are trained near their highest rate may lose within a step or two what they had
learned: the loss of a batch jumps to several times the running mean, and a recurrent network may
stay at chance for good. Probes look once in 64 steps, and come too late.

The loss of every step is heard, which costs nothing. One far above the running mean is suspected.
Whether the weights or the batch are to blame, the same batch tells at the weights of some steps
before: that is one forward pass, and only then.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch

from tune_metalr.batch_loss import Closure, evaluate_again
from tune_metalr.metalr.features import RunningMeans

KEPT_EVERY = 16
"""Steps between two copies of the weights, of which the last is held."""

_MEMORY = 0.9
_FIRST_LOSSES = 10
"""Mean of which the progress is measured from; nothing is suspected before."""

_PIECE = 131_072

_RISE = 0.5
"""Relative rise of a batch's loss from which on the weights are to blame."""
_SUSPECTED_RISE = 0.25
"""The same of a loss over the running mean, from which on the batch is looked at again."""
_DEVIATIONS = 4.0
"""Mean deviations above the running mean from which on a loss is suspected."""
_CALM_DEVIATIONS = 2.0
"""Up to which weights are worth to be kept."""
_LOST = 0.25
"""Share of the progress that a blow-up loses: late in a run tiny losses may rise by any factor."""


class Guard:
    """Hears losses, holds one copy of the weights, and puts it back after a blow-up."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._weights: list[torch.Tensor] = []
        """Those of which copies are kept, each once."""
        self._kept: list[torch.Tensor] = []
        self._mean = RunningMeans((_MEMORY,))
        self._deviation = RunningMeans((_MEMORY,))
        self._first_sum = 0.0

    @property
    def has_kept(self) -> bool:
        """Whether there are weights to go back to."""
        return bool(self._kept)

    def suspects(self, loss: float) -> bool:
        """Return whether the weights may have blown up."""
        if not self.has_kept or self._mean.count < _FIRST_LOSSES:
            return False
        mean = self._mean.values[0]
        least = max(
            _SUSPECTED_RISE * abs(mean),
            _DEVIATIONS * self._deviation.values[0],
            _LOST * self._progress,
        )
        return loss - mean > least

    def hear(self, loss: float) -> None:
        """Hear the loss of a step, which is finite."""
        if self._mean.count < _FIRST_LOSSES:
            self._first_sum += loss
        if self._mean.count:
            self._deviation.take(abs(loss - self._mean.values[0]))
        self._mean.take(loss)

    def is_calm(self, loss: float) -> bool:
        """Return whether the weights of this loss are worth to go back to."""
        if self._deviation.count == 0:
            return True
        return loss - self._mean.values[0] <= _CALM_DEVIATIONS * self._deviation.values[0]

    @torch.no_grad()
    def keep(self) -> None:
        """Copy the weights that are trained, in the place of the last copy."""
        weights = self._trained()
        if [*map(id, weights)] == [*map(id, self._weights)]:
            torch._foreach_copy_(self._kept, weights)
        else:
            self._weights, self._kept = weights, [weight.detach().clone() for weight in weights]

    def forget(self) -> None:
        """Let go of the copy: steps that cannot be looked at may lead anywhere."""
        self._weights, self._kept = [], []

    def kept(self, weights: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the copies of some weights."""
        copies = {id(w): kept for w, kept in zip(self._weights, self._kept, strict=True)}
        return [copies[id(weight)] for weight in weights]

    @torch.no_grad()
    def puts_back(self, loss: float, closure: Closure) -> bool:
        """Evaluate the batch at the kept weights; stay there if that is where it was better.

        Args:
            loss: Of the batch, at the present weights; infinite if it is no number.
            closure: Evaluates it again.
        """
        self._swap()
        try:
            before = evaluate_again(closure)
        except BaseException:
            self._swap()
            raise
        rise = loss - before
        if math.isfinite(before) and rise > max(_RISE * abs(before), _LOST * self._progress):
            torch._foreach_copy_(self._kept, self._weights)
            self.repair_optimizer()
            return True
        self._swap()
        return False

    def repair_optimizer(self) -> None:
        """Forget moments that are no numbers: they would spoil the weights in the next step."""
        for state in self._optimizer.state.values():
            for value in state.values():
                if torch.is_tensor(value) and not bool(torch.isfinite(value).all()):
                    value.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return all that was heard, and the copy of the weights."""
        return {
            "mean": self._mean.state(),
            "deviation": self._deviation.state(),
            "first_sum": self._first_sum,
            "kept": [weight.clone() for weight in self._kept],
            "places": self._places(self._weights),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self._mean.restore(state["mean"])
        self._deviation.restore(state["deviation"])
        self._first_sum = state["first_sum"]
        every = self._every_weight()
        self._weights = [every[place] for place in state["places"]]
        self._kept = [
            torch.empty_like(weight, requires_grad=False).copy_(kept)
            for weight, kept in zip(self._weights, state["kept"], strict=True)
        ]

    @property
    def _progress(self) -> float:
        if not self._mean.count:
            return 0.0
        first = self._first_sum / min(self._mean.count, _FIRST_LOSSES)
        return max(0.0, first - self._mean.values[0])

    def _trained(self) -> list[torch.Tensor]:
        """Return the weights that a step may move, those frozen since `backward` among them."""
        return [weight for weight in self._every_weight() if _is_trained(weight)]

    def _every_weight(self) -> list[torch.Tensor]:
        """Return the optimizer's weights in its order, each once."""
        groups = self._optimizer.param_groups
        return [*{id(weight): weight for group in groups for weight in group["params"]}.values()]

    def _places(self, weights: list[torch.Tensor]) -> list[int]:
        """Return where weights stand in the optimizer's order: what is frozen may change."""
        places = {id(weight): place for place, weight in enumerate(self._every_weight())}
        return [places[id(weight)] for weight in weights]

    def _swap(self) -> None:
        """Put the kept weights in, and keep those that were there; no further copy is held.

        Those that have been frozen since stay: they are no longer MetaLR's to move.
        """
        for weight, kept in zip(self._weights, self._kept, strict=True):
            for one, other in _pieces(weight, kept) if _is_trained(weight) else ():
                held = one.clone()
                one.copy_(other)
                other.copy_(held)


def _is_trained(weight: torch.Tensor) -> bool:
    return weight.requires_grad or weight.grad is not None


def _pieces(one: torch.Tensor, other: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the same parts of both, small where their layout allows it."""
    if not (one.is_contiguous() and other.is_contiguous()):
        yield one, other
        return
    parts = (tensor.view(-1).split(_PIECE) for tensor in (one, other))  # type: ignore[no-untyped-call]
    yield from zip(*parts, strict=True)
