"""What a workload is: data set, model, metric and target, as plain data without torch."""

import dataclasses
from enum import StrEnum
from typing import Any

MAX_TOKENS = 256
"""Tokens to which texts are cut, where nothing else is said."""


class Family(StrEnum):
    """How the examples are decoded and batched."""

    IMAGES = "images"
    TEXT = "text"
    ARRAYS = "arrays"
    """Arrays that the user's own code loads."""


class Origin(StrEnum):
    """Where the raw examples are."""

    BUNDLED = "bundled"
    """In scikit-learn."""
    HUB = "hub"
    """On the Hugging Face hub, or in a local mirror of it."""
    FOLDER = "folder"
    """In a folder that the study names."""
    PYTHON = "python"
    """Where the user's own code finds them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a data set comes from, and which of its columns are used."""

    name: str
    """Folder in a local mirror, and name in the data cache."""
    family: Family
    origin: Origin
    location: str | None
    """Repository on the hub, or import path; a folder's is no part of what a trial is."""
    input_column: str
    label_column: str
    num_classes: int | None
    """`None` until the training split's labels are counted."""
    train_split: str = "train"
    test_split: str = "test"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Data set + model + metric (accuracy) + target."""

    name: str
    source: Source
    model: str
    validation_examples: int | None
    """Rows carved from the training split, the same ones for every seed; `None` until the split
    is counted."""
    target_accuracy: float
    target_origin: str
    """Where the target was read off."""
    max_tokens: int | None = None
    """Tokens to which a text is cut, from its end; `None` keeps all."""
    revision: str = "1"
    """Changes whenever the same trial of this workload would give other numbers."""

    def settings(self) -> dict[str, Any]:
        """Return what decides a trial's outcome; the target, which judges it, is left out."""
        return {
            "source": dataclasses.asdict(self.source),
            "model": self.model,
            "validation_examples": self.validation_examples,
            "max_tokens": self.max_tokens,
            "revision": self.revision,
        }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReadyWorkload:
    """A workload whose data are decoded: nothing about it is open any more."""

    workload: Workload
    data_version: str
    available_examples: int
    """Rows of the training split that validation leaves."""


def source_from_settings(settings: dict[str, Any]) -> Source:
    """Rebuild the source of `Workload.settings`."""
    enums = {"family": Family(settings["family"]), "origin": Origin(settings["origin"])}
    return Source(**{**settings, **enums})
