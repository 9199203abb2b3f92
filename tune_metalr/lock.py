"""One driver per results folder. The lock ends with its process, however that ends."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_metalr.errors import UserError


@contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process.

    The lock saves work, correctness does not rest on it: rows are idempotent.

    Raises:
        UserError: Another process holds it.
    """
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(
                f"{folder} is in use by {holder}; wait until it ends, or choose another --results"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
        file.truncate(0)
