"""Examples as a source gives them, undecoded."""

from typing import Any, NamedTuple


class RawSplit(NamedTuple):
    """One split, undecoded: row i of `inputs` has label `labels[i]`."""

    inputs: Any
    """An Arrow column, or a NumPy array when the source is bundled."""
    labels: Any


class RawData(NamedTuple):
    """The splits that a source gives."""

    train: RawSplit
    test: RawSplit
