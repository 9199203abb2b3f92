"""The files of a ledger's trials: single rows as workers write them, and segments of many."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from tune_metalr.errors import UserError
from tune_metalr.rows import DamagedFileError, chosen, read_trials
from tune_metalr.store import Store, folder_of

SUFFIX = ".parquet"
_ASKERS = 16
"""Questions at once to object storage, where each waits for tens of milliseconds."""


class TrialFiles:
    """Reads them, and moves the damaged ones out of the way."""

    def __init__(self, results: Store) -> None:
        self.store = results.within("trials")
        self._aside = results.within("set-aside")

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all files.

        Args:
            prefix: How they begin.

        Raises:
            UserError: The place cannot be read.
        """
        try:
            return self.store.names(prefix)
        except OSError as error:
            raise UserError(f"cannot read {self.store.location}: {error.strerror}") from error

    def read_each(
        self, names: Sequence[str], columns: Collection[str] | None = None
    ) -> Iterator[pa.Table | DamagedFileError | FileNotFoundError]:
        """Read files of trials, each as it is met: in object storage, many at once."""

        def read(name: str) -> pa.Table | DamagedFileError | FileNotFoundError:
            try:
                return self.read(name, columns)
            except (DamagedFileError, FileNotFoundError) as error:
                return error

        if folder_of(self.store) or len(names) < 2:
            yield from map(read, names)
            return
        with ThreadPoolExecutor(_ASKERS) as askers:
            yield from askers.map(read, names)

    def read(self, name: str, columns: Collection[str] | None = None) -> pa.Table:
        """Read a file of trials; a file that is not named as ours are is none of ours."""
        if not name.endswith(SUFFIX):
            raise DamagedFileError(f"{name} is not a Parquet file")
        table = read_trials(self._bytes(name), name, chosen(columns))
        ids = table["trial_id"].to_pylist()
        if not is_segment(name) and ids != [name.removesuffix(SUFFIX).partition("-")[0]]:
            raise DamagedFileError(f"{name} is not named after the one trial it holds")
        return table

    def delete_each(self, names: Collection[str]) -> None:
        """Delete files: in object storage, many at once."""
        if folder_of(self.store):
            for name in names:
                self.store.delete(name)
            return
        with ThreadPoolExecutor(_ASKERS) as askers:
            list(askers.map(self.store.delete, names))

    def set_aside(self, name: str) -> str:
        """Move a file of trials out of the way; return where it is now."""
        aside = self._aside
        free = _free_name(name, taken=set(aside.names(name)))
        aside.write(free, self.store.read(name))
        self.store.delete(name)
        return f"{aside.location}/{free}"

    def _bytes(self, name: str) -> bytes:
        try:
            return self.store.read(name)
        except FileNotFoundError:
            raise
        except OSError as error:
            place = f"{self.store.location}/{name}"
            raise UserError(f"cannot read {place}: {error.strerror}") from error


def is_segment(name: str) -> bool:
    """Return whether a file holds many rows, put there by the driver."""
    return name.startswith("segment-")


def _free_name(name: str, *, taken: Collection[str]) -> str:
    numbered = (f"{name}.{number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)
