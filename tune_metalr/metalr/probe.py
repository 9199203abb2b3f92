"""The second-order probe: how a step's loss differs from what its gradient foretold.

For a step d = w_before - w_after and the loss f of one batch with gradient g at w_before,

    sigma = 2 (1 - (f(w_before) - f(w_after)) / <g, d>)

Where f is quadratic with Hessian H, sigma = d'Hd / <g, d>, exactly: the curvature along the step
over the slope. With d = rate * u that is rate * u'Hu / <g, u>, so sigma = 1 is the rate that lowers
the loss most along u, and sigma = 2 the one that leaves it as it was. It has no unit: scaling the
loss or the weights does not change it. Roulet et al. 2024 (arXiv 2407.06183) set rates by it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch

from tune_metalr.batch_loss import Closure, evaluate_again, is_low_precision

_FIRST_PROBES = (0, 1, 3, 7, 15, 31)
_PROBE_INTERVAL = 64

_RESOLUTION = 1e-5
"""Relative change of a float32 mean loss, below which it is rounding."""

_LOW_PRECISION_RESOLUTION = 1e-2
"""The same where the loss, or what it is made of, comes in 16 bits."""

_PIECE = 131_072

_FAILED = 0.5
"""Relative rise of the loss in one step from which on the step counts as failed."""


class Reading(NamedTuple):
    """What one probe has seen; decreases are fractions of the loss before the step."""

    foretold: float
    """What the loss would fall by after the gradient; negative where momentum leads uphill."""
    decrease: float
    """What the loss has really fallen by."""
    is_resolved: bool
    """Whether the loss is fine enough to tell them apart."""
    has_failed: bool
    """Whether the loss is no number any more, or has risen by half, and by more than foretold."""

    @property
    def sigma(self) -> float | None:
        """Return the ratio; `None` where nothing can be said."""
        return sigma_of(self.foretold, self.decrease) if self.is_resolved else None


class StepSize(NamedTuple):
    """Norms over all weights that the step moves."""

    step_norm: float
    weight_norm: float
    """Before the step."""
    gradient_norm: float
    """Before it was clipped."""
    alignment: float
    """Cosine of gradient and step; NaN where one of them is 0."""
    num_weights: int
    """Real numbers that the step moves."""


def sigma_of(foretold: float, decrease: float) -> float | None:
    """Return sigma of one step, or of the means over several; `None` if they lead uphill."""
    return 2 * (1 - decrease / foretold) if foretold > 0 else None


class Probe:
    """Looks at one optimizer step from both sides. It holds one copy of the weights meanwhile."""

    def __init__(
        self, weights: list[torch.Tensor], before: list[torch.Tensor] | None = None
    ) -> None:
        """Remember where the step begins; each of the weights has a gradient.

        Args:
            weights: That the step moves.
            before: A copy of them, if there is one.
        """
        self._weights = weights
        self._gradients = [w.grad.to_dense() for w in weights if w.grad is not None]
        self._before = before or [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def read(self, loss: torch.Tensor, closure: Closure, *, gradient_scale: float) -> Reading:
        """Return what the step since the probe was made has done; one loss is evaluated.

        Args:
            loss: Of the batch, before the step.
            closure: Evaluates it again.
            gradient_scale: What the gradients in place were multiplied by.
        """
        along = [
            _along(*tensors)
            for tensors in zip(self._gradients, self._before, self._weights, strict=True)
        ]
        # Gradients that were multiplied by 0 foretell nothing.
        foretold = sum(along) / (gradient_scale or math.nan)
        dtypes = {loss.dtype, *(weight.dtype for weight in self._weights)}
        is_coarse = is_low_precision(closure) or dtypes & {torch.float16, torch.bfloat16}
        resolution = _LOW_PRECISION_RESOLUTION if is_coarse else _resolution(loss.dtype)
        return _reading(float(loss), evaluate_again(closure), foretold, resolution)

    @torch.no_grad()
    def measure(self, *, gradient_scale: float) -> StepSize:
        """Return how large the step since the probe was made is, and where it leads."""
        products = [
            _products(*tensors)
            for tensors in zip(self._gradients, self._before, self._weights, strict=True)
        ]
        along, step, weight, gradient = (sum(part) for part in zip(*products, strict=True))
        norms = math.sqrt(gradient) * math.sqrt(step)
        return StepSize(
            step_norm=math.sqrt(step),
            weight_norm=math.sqrt(weight),
            gradient_norm=math.sqrt(gradient) / (gradient_scale or math.nan),
            alignment=along / norms if norms > 0 and math.isfinite(norms) else math.nan,
            num_weights=sum(_flat(weight).numel() for weight in self._weights),
        )

    @torch.no_grad()
    def undo(self) -> None:
        """Take the step back, to the last bit."""
        torch._foreach_copy_(self._weights, self._before)


def is_probed(step: int) -> bool:
    """Return whether a step, counted from 0, is looked at whatever has happened before."""
    return step in _FIRST_PROBES or step % _PROBE_INTERVAL == _PROBE_INTERVAL - 1


def _reading(before: float, after: float, foretold: float, resolution: float) -> Reading:
    unit = abs(before) or 1.0
    foretold, decrease = foretold / unit, (before - after) / unit
    is_told = math.isfinite(foretold) and abs(foretold) >= resolution
    is_harmless = -decrease <= (max(-foretold, _FAILED) if is_told else _FAILED)
    return Reading(
        foretold=foretold,
        decrease=decrease,
        is_resolved=is_told and math.isfinite(decrease),
        has_failed=not (math.isfinite(decrease) and is_harmless),
    )


def _along(gradient: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> float:
    """Return <gradient, before - after>, piece by piece: the difference is never held whole."""
    return sum(float(torch.dot(g, b - a)) for g, b, a in _pieces(gradient, before, after))


def _products(
    gradient: torch.Tensor, before: torch.Tensor, after: torch.Tensor
) -> tuple[float, float, float, float]:
    """Return <g, d>, <d, d>, <w, w> and <g, g>, with d = before - after."""
    totals = [0.0] * 4
    for g, b, a in _pieces(gradient, before, after):
        d = b - a
        products = [torch.dot(*pair) for pair in ((g, d), (d, d), (b, b), (g, g))]
        found = torch.stack(products).tolist()  # one wait for the device
        totals = [total + product for total, product in zip(totals, found, strict=True)]
    along, step, weight, squares = totals
    return along, step, weight, squares


def _pieces(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    parts = (_flat(tensor).split(_PIECE) for tensor in tensors)  # type: ignore[no-untyped-call]
    return zip(*parts, strict=True)


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """Return one dimension of real numbers: a complex one counts as its two parts."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.reshape(-1)


def _resolution(dtype: torch.dtype) -> float:
    if dtype == torch.float64:
        return _RESOLUTION**2
    return _RESOLUTION if dtype == torch.float32 else _LOW_PRECISION_RESOLUTION
