"""What tests of the learning-rate-free peers share: the fields of a preset's trial."""

from typing import Any

from tune_metalr.methods import OPTIMIZERS
from tune_metalr.methods.presets import PRESETS

PEERS = [name for name, kept in PRESETS.items() if kept.settings["optimizer"] not in OPTIMIZERS]
"""The presets whose arithmetic is that of another package."""


def of_preset(name: str) -> dict[str, Any]:
    """Return the fields that a preset decides."""
    settings = dict(PRESETS[name].settings)
    return {
        "optimizer": settings.pop("optimizer"),
        "schedule": settings.pop("schedule", "constant"),
        "hyperparameters": settings,
    }
