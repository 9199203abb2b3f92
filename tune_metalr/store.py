"""Whole objects by name, wherever a study's results are: nothing is renamed, and nothing grows."""

import errno
import os
import shutil
from pathlib import Path
from typing import Protocol, Self

from tune_metalr.errors import UserError
from tune_metalr.storage import SCRATCH_PREFIX, remove_scratch, write_whole

_SEPARATOR = "://"

Location = str | os.PathLike[str]
"""A path, or a URI."""


class Store(Protocol):
    """A place for whole objects. It can be pickled, and gives the same objects on every node.

    Names are relative and have slashes, as `trials/0a1b.parquet`. An object is all there or not
    there at all, and a reader never sees half of one.
    """

    beat_seconds: float
    """Time between two signs of life of a trial: what writing often costs here decides it."""

    @property
    def location(self) -> str:
        """Where this is, as it is told to a user."""
        ...

    def read(self, name: str) -> bytes:
        """Return an object.

        Raises:
            FileNotFoundError: There is none of that name.
            OSError: The place cannot be reached or read.
        """
        ...

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Put an object in place of what is there.

        Args:
            name: Of the object.
            data: The whole content.
            durable: Return only when the bytes survive a power cut.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Return the names that begin so, sorted; not those in folders below."""
        ...

    def sweep(self) -> None:
        """Delete what killed writers left. Only for who has the place alone."""
        ...

    def clear(self) -> None:
        """Delete everything."""
        ...

    def within(self, folder: str) -> Self:
        """Return a folder of this store as a store."""
        ...


class FolderStore:
    """A folder: of one machine, or one that several nodes see."""

    beat_seconds = 1.0

    def __init__(self, root: Path, *, anchor: Path | None = None) -> None:
        """Take a folder; nothing is made yet.

        Args:
            root: The folder.
            anchor: A folder without which nothing is written. If it is not there, it was on a
                mount that is gone, and a new folder of its name would hide what is written.
        """
        self.root = root
        self._anchor = anchor

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self.root)

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Put a file in place; its folder is made if need be."""
        if self._anchor and not self._anchor.is_dir():
            raise OSError(errno.ESTALE, "the folder is gone from this machine", str(self._anchor))
        write_whole(self.root / name, data, durable=durable)

    def delete(self, name: str) -> None:
        """Delete a file, if there is one."""
        (self.root / name).unlink(missing_ok=True)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of files that begin so; those of half files are not among them."""
        folder, _, start = prefix.rpartition("/")
        try:
            paths = [path for path in (self.root / folder).iterdir() if path.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [path.name for path in paths if path.name.startswith(start)]
        within = f"{folder}/" if folder else ""
        return sorted(within + name for name in found if not name.startswith(SCRATCH_PREFIX))

    def sweep(self) -> None:
        """Delete half files of killed writers."""
        remove_scratch(self.root)

    def clear(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def within(self, folder: str) -> "FolderStore":
        """Return a folder below."""
        return FolderStore(self.root / folder, anchor=self._anchor)


def is_uri(location: Location) -> bool:
    """Return whether a location is in object storage, as `s3://bucket/results`."""
    return _SEPARATOR in str(location)


def open_store(location: Location) -> Store:
    """Return what is at a path or at a URI, `s3://` or `gs://`.

    Raises:
        UserError: The URI is of no known kind, or holds a secret; the path is a file's.
    """
    if not is_uri(location):
        if Path(location).is_file():
            raise UserError(f"{location} is a file: name a folder")
        return FolderStore(Path(location))
    from tune_metalr.object_store import ObjectStore

    return ObjectStore(str(location))


def patient(store: Store) -> Store:
    """Return the same place for a run: object storage that is away is then waited for."""
    from tune_metalr.object_store import ObjectStore

    return store.patient() if isinstance(store, ObjectStore) else store


def below(location: Location, name: str) -> str | Path:
    """Return the location of a folder below a location."""
    return f"{str(location).rstrip('/')}/{name}" if is_uri(location) else Path(location) / name


def above(location: Location) -> str | Path:
    """Return the location of the folder that holds a location."""
    if is_uri(location):
        return str(location).rstrip("/").rpartition("/")[0]
    return Path(location).parent


def name_of(location: Location) -> str:
    """Return the last part of a location: a study's name, of its results."""
    if is_uri(location):
        return str(location).rstrip("/").rpartition("/")[2]
    return Path(location).resolve().name


def folder_of(store: Store) -> Path | None:
    """Return the folder that a store is; `None` of object storage."""
    return store.root if isinstance(store, FolderStore) else None
