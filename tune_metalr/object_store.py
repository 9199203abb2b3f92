"""Results in object storage: `s3://` and `gs://`, whose credentials come from the environment.

An object is put in one request, or in parts that become visible together; none is renamed or
appended to. A service that is busy or out of reach is asked again: for half a minute by what a user
waits for, for ten by a run. What asking again cannot mend, as a missing right, is raised at once.
"""

import importlib.util
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from tune_metalr.conditions import Conditions, GoogleConditions, S3Conditions
from tune_metalr.errors import UserError, install
from tune_metalr.object_errors import as_os_error, passes
from tune_metalr.storage import SCRATCH_PREFIX

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_CONDITIONS: dict[str, Conditions] = {"s3": S3Conditions(), "gs": GoogleConditions()}

_SHORT_PATIENCE_SECONDS = 30.0
_RUN_PATIENCE_SECONDS = 600.0
"""How long a service may be away before a trial gives up."""

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0
_SILENT_SECONDS = 5.0
"""A service that is away for longer is spoken of."""

_CONNECT_SECONDS = 10
_READ_SECONDS = 60

_Answer = TypeVar("_Answer")


class Tagged(NamedTuple):
    """A version of an object."""

    data: bytes
    tag: str
    """Tells it from every other one."""


class ObjectStore:
    """A prefix of a bucket."""

    beat_seconds = 15.0

    def __init__(self, uri: str, *, patience_seconds: float = _SHORT_PATIENCE_SECONDS) -> None:
        """Take a URI; nothing is asked yet.

        Raises:
            UserError: It is of no known kind, holds a secret, or a package is missing.
        """
        self._scheme, self._path = _checked(uri)
        self._patience_seconds = patience_seconds

    @property
    def location(self) -> str:
        """The URI."""
        return f"{self._scheme}://{self._path}"

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        found: bytes = self._ask(lambda service: service.cat_file(self._key(name)))
        return found

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Put an object; it is durable when the service has answered."""
        self._ask(lambda service: service.pipe_file(self._key(name), data))

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        try:
            self._ask(lambda service: service.rm_file(self._key(name)))
        except FileNotFoundError:
            return

    def names(self, prefix: str = "") -> list[str]:
        """Return the names that begin so; those of probes are not among them."""
        folder, _, start = prefix.rpartition("/")
        within = f"{folder}/" if folder else ""
        try:
            paths = self._ask(lambda service: _listed(service, self._key(folder), start))
        except FileNotFoundError:
            return []
        found = (path[len(self._key(folder)) + 1 :] for path in paths)
        ours = (name for name in found if name and "/" not in name)
        return sorted(within + name for name in ours if not name.startswith(SCRATCH_PREFIX))

    def read_tagged(self, name: str) -> Tagged | None:
        """Return an object and its tag, if there is one."""
        conditions = _CONDITIONS[self._scheme]
        try:
            # In this order: a tag that is older than the data makes the next condition fail.
            tag = self._ask(lambda service: conditions.tag(service, self._key(name)))
            return Tagged(self.read(name), tag)
        except FileNotFoundError:
            return None

    def write_if(self, name: str, data: bytes, *, tag: str | None) -> str | None:
        """Put an object in place of one version, or where none is.

        Args:
            name: Of the object.
            data: The whole content; no other writer's is the same.
            tag: Of the version that is to be there; `None` if none is to be.

        Returns:
            The new tag; `None` if something else is there.
        """
        conditions = _CONDITIONS[self._scheme]
        try:
            return self._ask(
                lambda service: conditions.put(service, self._key(name), data, tag=tag)
            )
        except (FileExistsError, FileNotFoundError):
            # Something else is there; or this had arrived, and only the answer was lost.
            found = self.read_tagged(name)
            return found.tag if found and found.data == data else None

    def delete_if(self, name: str, *, tag: str) -> None:
        """Delete one version of an object, if it is still there."""
        conditions = _CONDITIONS[self._scheme]
        try:
            self._ask(lambda service: conditions.delete(service, self._key(name), tag=tag))
        except (FileExistsError, FileNotFoundError):
            return

    def sweep(self) -> None:
        """Do nothing: half an object is never visible."""

    def clear(self) -> None:
        """Delete every object of the prefix, those in folders below it excepted."""
        for name in self.names():
            self.delete(name)

    def within(self, folder: str) -> "ObjectStore":
        """Return a longer prefix."""
        return ObjectStore(f"{self.location}/{folder}", patience_seconds=self._patience_seconds)

    def with_patience(self, seconds: float) -> "ObjectStore":
        """Return the same place, asked again for another length of time."""
        return ObjectStore(self.location, patience_seconds=seconds)

    def patient(self) -> "ObjectStore":
        """Return the same place for a run, which an outage of minutes must not end."""
        return self.with_patience(_RUN_PATIENCE_SECONDS)

    def _key(self, name: str) -> str:
        return f"{self._path}/{name}" if name else self._path

    def _ask(self, question: Callable[[Any], _Answer]) -> _Answer:
        """Ask the service until it answers.

        Raises:
            FileNotFoundError: There is no such object, or no such bucket.
            FileExistsError: A condition does not hold.
            OSError: It refuses, or has not answered for as long as this one waits.
        """
        start = time.monotonic()
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                return question(_service(self._scheme, self._patience_seconds))
            except Exception as error:
                told = as_os_error(error, self.location)
                waited = time.monotonic() - start
                if not passes(error) or waited + wait > self._patience_seconds:
                    # Not from the error: it may tell a secret, and would stand in tracebacks.
                    raise told from None
                if waited >= _SILENT_SECONDS:
                    _NOTICE.give(told, self._patience_seconds)
            time.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


class _Notice:
    """Says that a service is away: once for all that wait for it, and again in a later outage."""

    def __init__(self) -> None:
        self._silent_until = float("-inf")
        self._lock = threading.Lock()

    def give(self, error: OSError, patience_seconds: float) -> None:
        """Tell why, unless it was told not long ago."""
        with self._lock:
            if time.monotonic() < self._silent_until:
                return
            self._silent_until = time.monotonic() + patience_seconds
        print(
            f"{error.filename} does not answer ({error.strerror}); asking again for up to "
            f"{_in_words(patience_seconds)}",
            file=sys.stderr,
            flush=True,
        )


_NOTICE = _Notice()


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _checked(uri: str) -> tuple[str, str]:
    """Return scheme and path of a URI."""
    parts = urlsplit(uri)
    if parts.scheme not in _PACKAGES:
        known = ", ".join(f"{scheme}://" for scheme in _PACKAGES)
        raise UserError(f"unknown kind of storage '{parts.scheme}://': expected a path, or {known}")
    # The URI stands in the ledger, in reports and in logs.
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError(
            f"give {parts.scheme}://bucket/folder alone: credentials and endpoints come from the "
            f"environment, as the storage's own tools read them"
        )
    package = _PACKAGES[parts.scheme]
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{parts.scheme}:// needs {package}: {install('cluster')}")
    if not parts.netloc:
        raise UserError(f"'{uri}' names no bucket: expected {parts.scheme}://bucket/folder")
    return parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/")


def _service(scheme: str, patience_seconds: float) -> Any:
    """Return the service; fsspec keeps one of each kind for the whole process."""
    return _s3(patience_seconds) if scheme == "s3" else _google()


def _s3(patience_seconds: float) -> Any:
    import fsspec

    # The packages' own tries are few; the ones here are many, and end where the patience does.
    limits = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": min(_READ_SECONDS, max(1, int(patience_seconds))),
        "retries": {"max_attempts": 1},
    }
    service = fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=limits)
    service.retries = 1
    return service


def _google() -> Any:
    # Its way to a kind of bucket that nobody here has asks for the kind first.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # It would print the traceback of an error that is raised as well.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    import fsspec

    return fsspec.filesystem("gs", use_listings_cache=False)


def _listed(service: Any, folder: str, start: str) -> list[str]:
    """Return the paths in a folder that begin so: one question, however much is below it."""
    if start:  # no folder of ours has others in it and is asked for a part of a name
        return [str(path) for path in service.find(folder, prefix=start)]
    entries = service.ls(folder, detail=True)
    return [str(entry["name"]) for entry in entries if entry["type"] == "file"]
