"""What a trial trains on: its splits, cut into batches, and its freshly initialised model."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from tune_metalr.seeds import derive_seed
from tune_metalr.trial import Trial
from tune_metalr.workloads.cache import DataPlaces, find, open_arrays
from tune_metalr.workloads.images import ImageBatches
from tune_metalr.workloads.models import SmallCNN
from tune_metalr.workloads.workload import source_from_settings

CURVE_EXAMPLES = 2_000
"""Validation rows scored after each epoch; the whole split is scored once, at the end."""

_EVALUATION_BATCH = 500

Array = np.ndarray[Any, Any]


class Batch(NamedTuple):
    """Examples as the model takes them, and their classes [batch]."""

    inputs: torch.Tensor
    labels: torch.Tensor


class Split(NamedTuple):
    """Mapped arrays of a split and the rows of them that are used."""

    inputs: Array
    labels: Array
    rows: Array


class Sizes(NamedTuple):
    """Examples of each split that are used."""

    train: int
    validation: int
    test: int


class Task:
    """The data of one trial. Splits and order depend on the workload and the seed alone."""

    def __init__(self, trial: Trial, places: DataPlaces) -> None:
        self._trial = trial
        self._source = source_from_settings(trial.workload_settings["source"])
        arrays = open_arrays(find(self._source, trial.data_version, places))
        self._to_batch = ImageBatches(arrays["channel_mean"], arrays["channel_std"])
        train_inputs, train_labels = arrays["train_inputs"], arrays["train_labels"]
        validation_rows, train_rows = self._carve_validation(len(train_labels))
        self._train = Split(train_inputs, train_labels, train_rows)
        self._validation = Split(train_inputs, train_labels, validation_rows)
        test_labels = arrays["test_labels"]
        self._test = Split(arrays["test_inputs"], test_labels, np.arange(len(test_labels)))

    @property
    def num_classes(self) -> int:
        """Number of classes; chance loss is its logarithm."""
        return self._source.num_classes

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one epoch, the last, smaller batch included."""
        return -(-len(self._train.rows) // self._trial.batch_size)

    @property
    def sizes(self) -> Sizes:
        """Examples of each split."""
        return Sizes(len(self._train.rows), len(self._validation.rows), len(self._test.rows))

    def build_model(self) -> nn.Module:
        """Initialise the model from the stream of (workload, seed)."""
        torch.manual_seed(derive_seed("weights", self._trial.workload, self._trial.seed))
        _, side, _, channels = self._train.inputs.shape
        if self._trial.workload_settings["model"] != "cnn":
            raise ValueError(f"unknown model {self._trial.workload_settings['model']!r}")
        model = SmallCNN(channels=channels, side=side, num_classes=self.num_classes)
        # torch's stubs do not know this form of `to`.
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def train_batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the epoch's batches; the order is drawn afresh for each epoch."""
        names = ("order", self._trial.workload, self._trial.seed, epoch)
        order = np.random.default_rng(derive_seed(*names)).permutation(self._train.rows)
        return self._batches(self._train, order, self._trial.batch_size)

    def curve_batches(self) -> Iterator[Batch]:
        """Yield the first validation rows, for curves and targets."""
        rows = self._validation.rows[:CURVE_EXAMPLES]
        return self._batches(self._validation, rows, _EVALUATION_BATCH)

    def validation_batches(self) -> Iterator[Batch]:
        """Yield the whole validation split, for selection."""
        return self._batches(self._validation, self._validation.rows, _EVALUATION_BATCH)

    def test_batches(self) -> Iterator[Batch]:
        """Yield the test split: once, after training."""
        return self._batches(self._test, self._test.rows, _EVALUATION_BATCH)

    def _batches(self, split: Split, rows: Array, size: int) -> Iterator[Batch]:
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            labels = torch.from_numpy(split.labels[chosen])
            yield Batch(self._to_batch(split.inputs, chosen), labels)

    def _carve_validation(self, count: int) -> tuple[Array, Array]:
        """Return validation rows, the same for every seed, and this seed's training rows."""
        trial = self._trial
        order = np.random.default_rng(derive_seed("validation", self._source.name)).permutation(
            count
        )
        held_out = trial.workload_settings["validation_examples"]
        validation, train = order[:held_out], order[held_out:]
        if trial.train_examples is not None:
            names = ("subset", trial.workload, trial.seed)
            shuffled = np.random.default_rng(derive_seed(*names)).permutation(train)
            train = shuffled[: trial.train_examples]
        return validation, train
