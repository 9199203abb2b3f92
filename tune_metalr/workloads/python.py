"""Workloads that a user writes in Python, named in a study by their import path."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tune_metalr.errors import UserError, first_line
from tune_metalr.import_path import code_version, resolve
from tune_metalr.workloads.batches import EqualSizeExamples
from tune_metalr.workloads.raw import RawData
from tune_metalr.workloads.workload import Family, Origin, Source, Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

Array = np.ndarray[Any, Any]

_ARRAYS = ("train_inputs", "train_labels", "test_inputs", "test_labels")

LONGEST_REASON = 200
"""Characters told of an error that another's code raised: it may hold a whole array."""


class PythonWorkload(ABC):
    """Data, model and loss of a classification workload. Subclass it, and name the subclass.

    What `load` returns is kept on disk and read by every trial from there. It is loaded again
    when `fingerprint` or the module's code changes.
    """

    num_classes: ClassVar[int]
    target_accuracy: ClassVar[float]
    """Validation accuracy that counts as solved."""
    target_origin: ClassVar[str] = "the workload's own code"
    validation_examples: ClassVar[int | None] = None
    """Rows carved from the training split: a fifth of it, at most 10,000, if `None`."""

    @abstractmethod
    def load(self) -> Mapping[str, Array]:
        """Return `train_inputs` and `test_inputs`, [examples, ...] of any number type, and
        `train_labels` and `test_labels`, whole numbers from 0 [examples].
        """

    @abstractmethod
    def build_model(self) -> "nn.Module":
        """Return the model. Torch's random stream is seeded: draw initial weights from it.

        It maps `batch` to [batch, classes], or to [batch, 1] for the logit of class 1 of two.
        """

    def batch(self, inputs: Array) -> "torch.Tensor":
        """Return what the model takes, for some rows of the inputs; the array is a copy."""
        import torch

        return torch.from_numpy(inputs).to(torch.float32)

    def loss(self, outputs: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Return the mean loss of a batch in nats: logistic for one output, else softmax."""
        from tune_metalr.workloads.losses import classification_loss

        return classification_loss(outputs, labels)

    def fingerprint(self) -> str:
        """Name the data that `load` would return, where they can change without the code."""
        return ""


class ArrayExamples(EqualSizeExamples):
    """Cuts batches out of the mapped arrays of a Python workload."""

    def __init__(self, workload: PythonWorkload, arrays: Mapping[str, Array]) -> None:
        self._workload = workload
        self._arrays = arrays

    def inputs(self, split: str, rows: Array) -> "torch.Tensor":
        """Return what the workload makes of some rows, which are copied."""
        return self._workload.batch(self._arrays[f"{split}_inputs"][rows])


def python_workload(path: str) -> PythonWorkload:
    """Build the workload that an import path names.

    Raises:
        ValueError: There is none; the message is one line.
    """
    found = resolve(path)
    if not (isinstance(found, type) and issubclass(found, PythonWorkload)):
        raise ValueError(
            f"'{path}' is no workload: it must be a subclass of tune_metalr.PythonWorkload"
        )
    for name in ("num_classes", "target_accuracy"):
        if not hasattr(found, name):
            raise ValueError(f"workload '{path}' does not say its '{name}'")
    try:
        return found()
    except Exception as error:  # the user's own code
        raise ValueError(
            f"workload '{path}' cannot be built: {first_line(error)[:LONGEST_REASON]}"
        ) from None


def planned_workload(path: str) -> PythonWorkload:
    """Build a workload that could be built where the study was read.

    Raises:
        UserError: It cannot be built here.
    """
    try:
        return python_workload(path)
    except ValueError as error:
        raise UserError(str(error)) from None


def describe(path: str) -> Workload:
    """Return the definition of the workload that an import path names."""
    found = python_workload(path)
    return Workload(
        name=path,
        source=Source(
            name=path,
            family=Family.ARRAYS,
            origin=Origin.PYTHON,
            location=path,
            input_column="train_inputs",
            label_column="train_labels",
            num_classes=found.num_classes,
        ),
        model=path,
        validation_examples=found.validation_examples,
        target_accuracy=found.target_accuracy,
        target_origin=found.target_origin,
        revision=code_version(type(found)),
    )


def decode(source: Source, raw: RawData) -> dict[str, Array]:
    """Keep the arrays as the workload's own code gave them."""
    return {"train_inputs": raw.train.inputs, "test_inputs": raw.test.inputs}


def load_arrays(path: str) -> dict[str, Array]:
    """Let a workload's own code load its data, and check what it returns.

    Raises:
        UserError: The code is missing, fails, or returns something else.
    """
    workload = planned_workload(path)
    try:
        loaded = dict(workload.load())
    except Exception as error:  # the user's own code
        raise UserError(
            f"workload '{path}' cannot load its data: {type(error).__name__}: "
            f"{first_line(error)[:LONGEST_REASON]}"
        ) from error
    if missing := [name for name in _ARRAYS if name not in loaded]:
        raise UserError(f"workload '{path}': load() returns no '{missing[0]}'")
    arrays = {name: np.asarray(loaded[name]) for name in _ARRAYS}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise UserError(f"workload '{path}': '{name}' holds {array.dtype}, not numbers")
    for split in ("train", "test"):
        inputs, labels = len(arrays[f"{split}_inputs"]), len(arrays[f"{split}_labels"])
        if inputs != labels:
            raise UserError(f"workload '{path}': {inputs} {split} inputs, but {labels} labels")
    return arrays
