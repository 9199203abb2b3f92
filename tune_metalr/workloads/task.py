"""What a trial trains on: its splits, cut into batches, and its freshly initialised model."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from tune_metalr.errors import UserError
from tune_metalr.import_path import code_version
from tune_metalr.seeds import derive_seed
from tune_metalr.trial import Trial
from tune_metalr.workloads.cache import find, open_arrays
from tune_metalr.workloads.images import ImageExamples
from tune_metalr.workloads.losses import classification_loss
from tune_metalr.workloads.models import SmallCNN, SmallResNet, TextLSTM
from tune_metalr.workloads.places import DataPlaces
from tune_metalr.workloads.python import ArrayExamples, PythonWorkload, planned_workload
from tune_metalr.workloads.resident import ResidentImages, ResidentText
from tune_metalr.workloads.text import VOCABULARY_SIZE, TextExamples
from tune_metalr.workloads.workload import Family, Origin, source_from_settings

CURVE_EXAMPLES = 2_000
"""Validation rows scored after each epoch; the whole split is scored once, at the end."""

_EVALUATION_BATCH = 250
"""Larger ones outgrow the allocator's cache, and are no faster."""

Array = np.ndarray[Any, Any]
Inputs = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


class Batch(NamedTuple):
    """Examples as the model takes them, and their classes [batch]."""

    inputs: Inputs
    labels: torch.Tensor


class Examples(Protocol):
    """What a family of workloads makes of its arrays. `split` is `train` or `test`."""

    def inputs(self, split: str, rows: Array) -> Inputs:
        """Return what the model takes, copied: no batch is a view of the arrays."""

    def train_batches(
        self, order: Array, batch_size: int, generator: np.random.Generator
    ) -> Iterator[Array]:
        """Cut an epoch's rows, given in random order, into batches of rows."""

    def evaluation_batches(self, split: str, rows: Array, batch_size: int) -> Iterator[Array]:
        """Cut rows to be scored into batches of rows."""


class Sizes(NamedTuple):
    """Examples of each split that are used."""

    train: int
    validation: int
    test: int


class Task:
    """The data of one trial. Splits and order depend on the workload and the seed alone."""

    def __init__(self, trial: Trial, places: DataPlaces) -> None:
        self._trial = trial
        self.device = _device(trial.device)
        """Where models and batches lie."""
        self._source = source_from_settings(trial.workload_settings["source"])
        arrays = open_arrays(find(self._source, trial.data_version, places))
        self._custom = self._import_custom()
        self._examples = self._open_examples(arrays)
        self._loss = self._custom.loss if self._custom else classification_loss
        self._labels = {split: arrays[f"{split}_labels"] for split in ("train", "test")}
        self._targets = {
            split: torch.from_numpy(np.array(labels)).to(self.device)
            for split, labels in self._labels.items()
        }
        self._validation_rows, self._train_rows = self._carve_validation()

    @property
    def num_classes(self) -> int:
        """Number of classes; chance loss is its logarithm."""
        return int(self._trial.workload_settings["source"]["num_classes"])

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one epoch, the last, smaller batch included."""
        return -(-len(self._train_rows) // self._trial.batch_size)

    @property
    def sizes(self) -> Sizes:
        """Examples of each split."""
        return Sizes(len(self._train_rows), len(self._validation_rows), len(self._labels["test"]))

    def build_model(self) -> nn.Module:
        """Initialise the model from the stream of (workload, seed)."""
        torch.manual_seed(derive_seed("weights", self._trial.workload, self._trial.seed))
        if self._custom:
            model = self._custom.build_model()
        else:
            name = self._trial.workload_settings["model"]
            model = _build_model(name, self._examples, self.num_classes)
        return model.to(self.device)  # drawn on the CPU: the same weights on every device

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch in nats."""
        return self._loss(outputs, labels)

    def num_correct(self, outputs: torch.Tensor, labels: torch.Tensor) -> int:
        """Return how many examples of a batch are classified right."""
        guesses = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(dim=1)
        return int((guesses == labels).sum())

    def train_batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the epoch's batches; the order is drawn afresh for each epoch."""
        names = ("order", self._trial.workload, self._trial.seed, epoch)
        generator = np.random.default_rng(derive_seed(*names))
        order = generator.permutation(self._train_rows)
        size = self._trial.batch_size
        return self._batches("train", self._examples.train_batches(order, size, generator))

    def curve_batches(self) -> Iterator[Batch]:
        """Yield the first validation rows, for curves and targets."""
        return self._scored("train", self._validation_rows[:CURVE_EXAMPLES])

    def validation_batches(self) -> Iterator[Batch]:
        """Yield the whole validation split, for selection."""
        return self._scored("train", self._validation_rows)

    def test_batches(self) -> Iterator[Batch]:
        """Yield the test split: once, after training."""
        return self._scored("test", np.arange(len(self._labels["test"])))

    def _import_custom(self) -> PythonWorkload | None:
        if self._source.origin is not Origin.PYTHON:
            return None
        custom = planned_workload(self._source.location or "")
        revision, planned = code_version(type(custom)), self._trial.workload_settings["revision"]
        if revision != planned:
            raise UserError(
                f"the code of workload '{self._trial.workload}' is {revision} here, but the trial "
                f"was planned on {planned}: all nodes need the same code"
            )
        return custom

    def _open_examples(self, arrays: dict[str, Array]) -> Examples:
        if self._custom:
            return ArrayExamples(self._custom, arrays)
        is_resident = self.device.type != "cpu"
        if self._source.family is Family.TEXT:
            texts = TextExamples(arrays, self._trial.workload_settings["max_tokens"])
            return ResidentText(texts, self.device) if is_resident else texts
        images = ImageExamples(arrays)
        return ResidentImages(images, self.device) if is_resident else images

    def _scored(self, split: str, rows: Array) -> Iterator[Batch]:
        batches = self._examples.evaluation_batches(split, rows, _EVALUATION_BATCH)
        return self._batches(split, batches)

    def _batches(self, split: str, batches: Iterator[Array]) -> Iterator[Batch]:
        labels = self._targets[split]
        for rows in batches:
            inputs = self._examples.inputs(split, rows)
            if isinstance(inputs, torch.Tensor):  # of a Python workload, which makes them here
                inputs = inputs.to(self.device)
            yield Batch(inputs, labels[torch.from_numpy(rows).to(self.device)])

    def _carve_validation(self) -> tuple[Array, Array]:
        """Return validation rows, the same for every seed, and this seed's training rows."""
        trial = self._trial
        generator = np.random.default_rng(derive_seed("validation", self._source.name))
        order = generator.permutation(len(self._labels["train"]))
        held_out = trial.workload_settings["validation_examples"]
        validation, train = order[:held_out], order[held_out:]
        if trial.train_examples is not None:
            names = ("subset", trial.workload, trial.seed)
            shuffled = np.random.default_rng(derive_seed(*names)).permutation(train)
            train = shuffled[: trial.train_examples]
        return validation, train


def _device(name: str | None) -> torch.device:
    """Return the device of a trial.

    Raises:
        UserError: It is a GPU, and torch sees none here.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "the study asks for GPUs, but torch sees none on this node: install torch for CUDA "
            "there, or leave 'gpus' out of the study's resources"
        )
    return torch.device(name or "cpu")


def _build_model(name: str, examples: Examples, num_classes: int) -> nn.Module:
    if isinstance(examples, ImageExamples):
        height, width, channels = examples.shape
        model: nn.Module
        if name == "resnet":
            model = SmallResNet(channels=channels, num_classes=num_classes)
        elif name == "cnn":
            model = SmallCNN(channels=channels, height=height, width=width, num_classes=num_classes)
        else:
            raise UserError(f"no model '{name}' for images; known: cnn, resnet")
        # torch's stubs do not know this form of `to`.
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    if name != "lstm":
        raise UserError(f"no model '{name}' for texts; known: lstm")
    outputs = 1 if num_classes == 2 else num_classes
    return TextLSTM(vocabulary_size=VOCABULARY_SIZE, outputs=outputs)
