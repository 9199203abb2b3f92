"""Labels: whole numbers from 0, or names of classes; one per example."""

from typing import Any, NamedTuple

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.workloads.raw import RawData
from tune_metalr.workloads.workload import Source

_MAX_CLASSES = 10_000
"""More of them are no classes: the column holds numbers of rows, or measurements."""

Array = np.ndarray[Any, Any]


class Labels(NamedTuple):
    """Labels of both splits, int64 [examples], and how many classes there are."""

    train: Array
    test: Array
    num_classes: int


def decode_labels(source: Source, raw: RawData) -> Labels:
    """Return the labels. Names of classes are numbered in alphabetical order.

    Raises:
        UserError: A label is no whole number and no name, or outside the classes.
    """
    train, test = (np.asarray(split.labels) for split in (raw.train, raw.test))
    if not len(train) or not len(test):
        raise UserError(f"data set '{source.name}' has an empty split")
    if all(isinstance(name, str) for name in (*train, *test)):
        train, test = _numbered(source, train, test)
    train, test = _whole(source, train), _whole(source, test)
    num_classes = source.num_classes or int(train.max()) + 1
    for labels in (train, test):
        _check_range(source, labels, num_classes)
    return Labels(train, test, num_classes)


def _numbered(source: Source, train: Array, test: Array) -> tuple[Array, Array]:
    classes = {str(name): number for number, name in enumerate(sorted(set(train)))}
    if unknown := sorted(set(test) - classes.keys()):
        raise UserError(
            f"data set '{source.name}' has a label '{unknown[0]}' in its test split, which its "
            f"training split does not have"
        )
    first, second = (np.array([classes[name] for name in labels]) for labels in (train, test))
    return first, second


def _whole(source: Source, labels: Array) -> Array:
    is_whole = labels.dtype.kind in "biu" or (
        labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels % 1 == 0).all()
    )
    if not is_whole or labels.ndim != 1:
        raise UserError(
            f"column '{source.label_column}' of '{source.name}' must hold whole numbers from 0, "
            f"or names of classes"
        )
    return labels.astype(np.int64)


def _check_range(source: Source, labels: Array, num_classes: int) -> None:
    if not 2 <= num_classes <= _MAX_CLASSES:
        raise UserError(
            f"column '{source.label_column}' of '{source.name}' holds {num_classes} classes; "
            f"2 to {_MAX_CLASSES} can be told apart"
        )
    if not 0 <= labels.min() <= labels.max() < num_classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"data set '{source.name}' has a label {wrong}; its {num_classes} classes are 0 to "
            f"{num_classes - 1}"
        )
