"""Finished work as a file of JSON lines: what a killed run has half written is dropped."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def read_journal(file: Path) -> list[Any]:
    """Return the complete lines of a file, which may not exist."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().rpartition("\n")[0].splitlines()]


@contextmanager
def journal(file: Path) -> Iterator[Callable[[Any], None]]:
    """Give what writes one more line, at once, for the length of a `with` block."""
    with file.open("a+b") as stream:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)

        def write(row: Any) -> None:
            stream.write(json.dumps(row).encode() + b"\n")
            stream.flush()

        yield write
