"""What a workload is: data set, model, metric and target, as plain data without torch."""

import dataclasses
from enum import StrEnum
from typing import Any


class Family(StrEnum):
    """How the examples are decoded and batched."""

    IMAGES = "images"
    TEXT = "text"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a data set comes from, and which of its columns are used."""

    name: str
    """Folder in a local mirror, and name in the data cache."""
    family: Family
    hub_id: str | None
    """Repository on the Hugging Face hub; `None` when scikit-learn bundles the data."""
    input_column: str
    label_column: str
    num_classes: int
    train_split: str = "train"
    test_split: str = "test"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Data set + model + metric (accuracy) + target."""

    name: str
    source: Source
    model: str
    validation_examples: int
    """Rows carved from the training split, the same ones for every seed."""
    target_accuracy: float
    target_origin: str
    """Where the target was read off."""
    max_tokens: int | None = None
    """Tokens to which a text is cut, from its end; `None` keeps all."""
    revision: int = 1
    """Raised whenever the same trial of this workload would give other numbers."""

    def settings(self) -> dict[str, Any]:
        """Return what decides a trial's outcome; the target, which judges it, is left out."""
        return {
            "source": dataclasses.asdict(self.source),
            "model": self.model,
            "validation_examples": self.validation_examples,
            "max_tokens": self.max_tokens,
            "revision": self.revision,
        }


def source_from_settings(settings: dict[str, Any]) -> Source:
    """Rebuild the source of `Workload.settings`."""
    return Source(**{**settings, "family": Family(settings["family"])})
