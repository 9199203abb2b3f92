"""MoMo-Adam that can be resumed.

Schaipp, Ohana, Eickenberg, Defazio & Gower, "MoMo: momentum models for adaptive learning rates",
ICML 2024 (arXiv 2305.07583): Adam whose step is cut to what a model of the loss with lower bound
`lb` allows. The arithmetic is that of the authors' package, which keeps the step count, the average
of the loss and the bound outside of its saved state.
"""

from typing import Any

import momo

_KEPT = ("_number_steps", "loss_avg", "lb")


class MomoAdam(momo.MomoAdam):  # type: ignore[misc]
    """MoMo-Adam, with all of its state in `state_dict`."""

    adapts = momo.MomoAdam
    revision = 1

    def state_dict(self) -> dict[str, Any]:
        """Return the moments, and what the package keeps in attributes."""
        state: dict[str, Any] = super().state_dict()
        return state | {"momo": {name: getattr(self, name) for name in _KEPT}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        super().load_state_dict(state_dict)
        for name in _KEPT:
            setattr(self, name, state_dict["momo"][name])
