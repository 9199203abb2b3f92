"""Rows cut into batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def consecutive(rows: Array, size: int) -> Iterator[Array]:
    """Yield rows in batches of `size`; the last one may be smaller."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
