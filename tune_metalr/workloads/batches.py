"""Rows cut into batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def consecutive(rows: Array, size: int) -> Iterator[Array]:
    """Yield rows in batches of `size`; the last one may be smaller."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


class EqualSizeExamples:
    """Examples of equal size: rows are cut into batches in the order in which they come."""

    def train_batches(
        self, order: Array, batch_size: int, generator: np.random.Generator
    ) -> Iterator[Array]:
        """Cut an epoch's rows, in random order, into batches."""
        return consecutive(order, batch_size)

    def evaluation_batches(self, split: str, rows: Array, batch_size: int) -> Iterator[Array]:
        """Cut rows to be scored into batches."""
        return consecutive(rows, batch_size)
