"""Labels: whole numbers from 0, one per example."""

from typing import Any

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.workloads.workload import Source


def checked_labels(source: Source, column: Any) -> np.ndarray[Any, Any]:
    """Return labels as int64 [examples].

    Raises:
        UserError: A label is no whole number, or outside the source's classes.
    """
    try:
        labels = np.asarray(column, dtype=np.int64)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"column '{source.label_column}' of '{source.name}' must hold whole numbers from 0"
        ) from error
    if not len(labels):
        raise UserError(f"data set '{source.name}' has an empty split")
    if not 0 <= labels.min() <= labels.max() < source.num_classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"data set '{source.name}' has a label {wrong}; its {source.num_classes} classes "
            f"are 0 to {source.num_classes - 1}"
        )
    return labels
