"""Results of nodes that cannot see them: a writer on the driver's node reads and writes instead."""

import errno
import os
import secrets
from contextlib import suppress
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_metalr.object_store import ObjectStore
from tune_metalr.storage import SCRATCH_PREFIX
from tune_metalr.store import Store

MARKER = "marker"
"""The object by which a node knows that it sees the results."""

_MARKER_SECONDS = 15.0
_ACCESS = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST")
"""How the names of the variables begin by which storages are reached."""

_CALLS_AT_ONCE = 8


class Results(NamedTuple):
    """Where results belong, and the way there for a node that cannot see them."""

    store: Store
    marker: bytes
    """What the driver has written; no earlier run and no other folder holds it."""
    host: Store


class HostStore:
    """The store of another node, behind an actor there."""

    beat_seconds = 5.0

    def __init__(self, actor: Any, location: str, folder: str = "") -> None:
        self._actor = actor
        self._location = location
        self._folder = folder

    @property
    def location(self) -> str:
        """Where this is on the driver's node."""
        return self._location

    def read(self, name: str) -> bytes:
        """Return an object."""
        found: bytes = self._call("read", name)
        return found

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Put an object in place of what is there."""
        self._call("write", name, data, durable=durable)

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        self._call("delete", name)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names that begin so."""
        found: list[str] = self._call("names", prefix)
        return found

    def sweep(self) -> None:
        """Delete what killed writers left."""
        self._call("sweep")

    def clear(self) -> None:
        """Delete everything."""
        self._call("clear")

    def within(self, folder: str) -> "HostStore":
        """Return a folder below."""
        longer = f"{self._folder}/{folder}" if self._folder else folder
        return HostStore(self._actor, f"{self._location}/{folder}", longer)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Have the actor do it; what it raises is raised here."""
        try:
            return ray.get(self._actor.call.remote(self._folder, method, arguments, options))
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            reason = "the writer on the driver's node does not answer"
            raise OSError(errno.EIO, reason, self._location) from error


class _Host:
    """Does in its own process what the stores of other nodes ask for."""

    def __init__(self, store: Store, access: dict[str, str]) -> None:
        """Reach the store as the driver does, whatever the node's own variables are."""
        for name in _access():
            del os.environ[name]
        os.environ.update(access)
        self._store = store

    def call(
        self, folder: str, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Call a method of a folder of the store."""
        store = self._store.within(folder) if folder else self._store
        return getattr(store, method)(*arguments, **options)


def start_host(store: Store) -> HostStore:
    """Start the writer on this process's node; it ends with the driver.

    It holds no state, so it may start anew at any time: what is asked twice is done twice.
    It has the driver's keys of a storage, which its node need not have, from an argument: unlike
    variables of a runtime environment, Ray writes arguments into no log.
    """
    here = ray.get_runtime_context().get_node_id()
    actor = ray.remote(_Host).options(
        num_cpus=0,
        max_concurrency=_CALLS_AT_ONCE,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
    )
    return HostStore(actor.remote(store, _access()), store.location)


def seen_from_here(results: Results) -> Store | None:
    """Return the results' own store if this node reads the driver's marker there, and can write."""
    store = _quick(results.store)
    probe = f"{SCRATCH_PREFIX}{secrets.token_hex(4)}-probe"
    try:
        if store.read(MARKER) != results.marker:
            return None
        store.write(probe, b"", durable=False)
        store.delete(probe)
    except OSError:
        return None
    return results.store


def forget_marker(store: Store, marker: bytes) -> None:
    """Delete a run's marker at its end, however it ends; that of a run that took over stays."""
    quick = _quick(store)
    with suppress(OSError):
        if quick.read(MARKER) == marker:
            quick.delete(MARKER)


def _access() -> dict[str, str]:
    """Return this process's variables by which storages are reached."""
    return {name: value for name, value in os.environ.items() if name.startswith(_ACCESS)}


def _quick(store: Store) -> Store:
    """Return the same place, waited for no longer than a user waits."""
    return store.with_patience(_MARKER_SECONDS) if isinstance(store, ObjectStore) else store
