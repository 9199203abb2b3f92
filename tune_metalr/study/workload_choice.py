"""A workload, as a study writes it: one of ours, the user's own data, or the user's own code."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tune_metalr.errors import nearest
from tune_metalr.import_path import is_import_path
from tune_metalr.study.fields import Count, Fraction, Seeds, Strict
from tune_metalr.workloads import MAX_TOKENS, WORKLOADS, Family, Origin, Source, Workload

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_MODELS = {"cnn": Family.IMAGES, "resnet": Family.IMAGES, "lstm": Family.TEXT}


class WorkloadChoice(Strict):
    """A workload and what the study changes about it.

    With `dataset` it is a workload of the user's own; else `name` is one of ours, or the import
    path of a `PythonWorkload`.
    """

    dataset: str | None = None
    """Data set on the hub, `owner/name`; or a folder, written with `./`, `../`, `/` or `~`."""
    name: str
    image_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    model: Literal["cnn", "resnet", "lstm"] | None = None
    target: Fraction | None = None
    """Validation accuracy that counts as solved, instead of the workload's."""
    classes: Annotated[Count, Field(ge=2)] | None = None
    """Number of classes; counted in the training split if not given."""
    train_split: str | None = None
    test_split: str | None = None
    validation_examples: Count | None = None
    """Rows carved from the training split: a fifth of it, at most 10,000, if not given."""
    epochs: Count | None = None
    """Instead of the study's."""
    seeds: Seeds | None = None
    """Of everything on this workload, instead of the study's and of those of a method."""
    train_examples: Count | None = None
    """Size of the training subset, drawn by seed; the whole split if not given."""
    max_tokens: Count | None = None
    """Length to which texts are cut; for text workloads only."""

    @field_validator("dataset")
    @classmethod
    def _absolute(cls, dataset: str | None, info: ValidationInfo) -> str | None:
        """Take a folder as seen from the study file."""
        if dataset is None:
            return None
        path = (info.context or {}).get("folder", Path()) / Path(dataset).expanduser()
        if dataset.startswith((".", "/", "~")):
            return str(path.resolve())
        if path.is_dir() or not _HUB_ID.fullmatch(dataset):
            raise ValueError(
                f"'{dataset}' is no 'owner/name' of the hub; a folder starts with './'"
            )
        return dataset

    @field_validator("name")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        if "dataset" not in info.data:
            return name  # it was wrong, and has been told
        if info.data["dataset"] is not None:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' may hold letters, digits, '.', '_' and '-' only")
            if name in WORKLOADS:
                raise ValueError(f"'{name}' is a workload of ours; give your own another name")
        elif name not in WORKLOADS and is_import_path(name):
            from tune_metalr.workloads.python import python_workload

            python_workload(name)
        elif name not in WORKLOADS:
            raise ValueError(f"unknown workload '{name}'{nearest(name, WORKLOADS)}")
        return name

    @model_validator(mode="after")
    def _check(self) -> "WorkloadChoice":
        if self.dataset is None:
            self._refuse_own_settings()
        else:
            self._check_own()
        if self.max_tokens is not None and self.definition().source.family is not Family.TEXT:
            raise ValueError(f"'{self.name}' is no text workload: remove 'max_tokens'")
        return self

    def definition(self) -> Workload:
        """Return the workload; what is left to the data is still `None`."""
        if self.dataset is not None:
            return self._own()
        if self.name not in WORKLOADS:
            from tune_metalr.workloads.python import describe

            workload = describe(self.name)
        else:
            workload = WORKLOADS[self.name]
        changes: dict[str, Any] = {}
        if self.max_tokens is not None:
            changes["max_tokens"] = self.max_tokens
        if self.target is not None:
            changes |= {"target_accuracy": self.target, "target_origin": "the study"}
        return dataclasses.replace(workload, **changes)

    @property
    def folder(self) -> Path | None:
        """The folder that holds the data set, if the study names one."""
        is_folder = self.dataset is not None and Path(self.dataset).is_absolute()
        return Path(self.dataset or "") if is_folder else None

    def _refuse_own_settings(self) -> None:
        for name in _OWN:
            if getattr(self, name) is not None:
                raise ValueError(f"'{name}' needs a 'dataset': '{self.name}' has its own")

    def _check_own(self) -> None:
        if (self.image_column is None) == (self.text_column is None):
            raise ValueError("a 'dataset' needs an 'image_column' or a 'text_column'")
        for name in ("label_column", "model", "target"):
            if getattr(self, name) is None:
                raise ValueError(f"a 'dataset' needs a '{name}'")
        kind = "image_column" if _MODELS[self.model or ""] is Family.IMAGES else "text_column"
        if getattr(self, kind) is None:
            raise ValueError(f"model '{self.model}' needs a '{kind}'")
        if (self.train_split or "train") == (self.test_split or "test"):
            raise ValueError("train and test must be two splits")

    def _own(self) -> Workload:
        dataset, model = self.dataset or "", self.model or ""
        family = _MODELS[model]
        source = Source(
            name=self.name if self.folder else dataset.rpartition("/")[2],
            family=family,
            origin=Origin.FOLDER if self.folder else Origin.HUB,
            location=None if self.folder else dataset,
            input_column=self.image_column or self.text_column or "",
            label_column=self.label_column or "",
            num_classes=self.classes,
            train_split=self.train_split or "train",
            test_split=self.test_split or "test",
        )
        return Workload(
            name=self.name,
            source=source,
            model=model,
            validation_examples=self.validation_examples,
            target_accuracy=self.target or 0.0,
            target_origin="the study",
            max_tokens=(self.max_tokens or MAX_TOKENS) if family is Family.TEXT else None,
        )


_OWN = (
    "image_column", "text_column", "label_column", "model", "classes", "train_split", "test_split",
    "validation_examples",
)  # fmt: skip
