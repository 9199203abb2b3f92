"""One driver for each study's results: a lock on a folder, a lease in object storage.

Either saves work; correctness rests on neither: rows are idempotent.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_metalr import holder, lease
from tune_metalr.object_store import ObjectStore
from tune_metalr.store import Store, folder_of


@contextmanager
def driver_lock(store: Store) -> Iterator[Callable[[], None]]:
    """Hold a study's results for this process.

    A lock ends with its process, however that ends; a lease, less than a minute later.

    Yields:
        What raises a `UserError` once the results are no longer held; to be called now and then.

    Raises:
        UserError: Another process holds them.
    """
    folder = folder_of(store)
    if isinstance(store, ObjectStore):
        with lease.held(store) as ours:
            yield ours.check
    elif folder is not None:
        with _lock(folder):
            yield lambda: None
    else:
        raise TypeError(f"a {type(store).__name__} cannot be locked")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise holder.in_use(str(folder), file.read().strip() or "another process") from error
        file.truncate(0)
        file.write(holder.told())
        file.flush()
        yield
        file.truncate(0)
