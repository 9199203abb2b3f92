"""A lease on results in object storage: an object that its holder makes anew again and again.

No clock but each machine's own is asked: a lease is over when nobody was seen to renew it for long.
Every change rests on a condition that the storage checks, so of two who want it one gets it, and a
holder that had slept does not take it back.
"""

import errno
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tune_metalr import holder
from tune_metalr.errors import UserError
from tune_metalr.object_store import ObjectStore, Tagged

_NAME = "lease.json"
_RENEWAL_SECONDS = 10.0
_EXPIRY_SECONDS = 40.0
"""A lease that has not been renewed for so long is nobody's."""

_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
"""How long a renewal waits for a storage that is away; the next one comes soon."""


@contextmanager
def held(store: ObjectStore) -> Iterator["Lease"]:
    """Hold the lease on a prefix for the length of a `with` block.

    Raises:
        UserError: Another process holds it, or the storage knows no conditions.
    """
    lease = Lease(store)
    lease.take()
    over = threading.Event()
    renewing = threading.Thread(target=lease.keep, args=(over,), daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        over.set()
        renewing.join(_LOOK_SECONDS)
        lease.give_back()


class Lease:
    """One that this process holds, or waits for."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._quick = store.with_patience(_ANSWER_SECONDS)
        self._token = secrets.token_hex(8)
        self._num_renewals = 0
        self._is_lost = False

    def take(self) -> None:
        """Wait until nobody holds the lease, and take it.

        Raises:
            UserError: Another process holds it, or the storage knows no conditions.
        """
        is_taken = False
        while not is_taken:
            # Looked at first: some services take no notice of conditions.
            found = self._store.read_tagged(_NAME)
            ended = _wait_until_over(self._store, found) if found else None
            is_taken = self._put(tag=ended.tag if ended else None)

    def keep(self, over: threading.Event) -> None:
        """Renew the lease until all is over, or it is lost."""
        while not self._is_lost and not over.wait(_RENEWAL_SECONDS):
            with suppress(OSError):  # the next renewal may succeed
                self._renew()

    def check(self) -> None:
        """Make sure that the lease was not lost.

        Raises:
            UserError: It was: while this process slept, or was cut off, another one took it.
        """
        if self._is_lost:
            raise UserError(
                f"another run took {self._store.location} over while this one did not answer; "
                f"what has ended is kept, and that run goes on"
            )

    def give_back(self) -> None:
        """Delete the lease, if it is this one."""
        with suppress(OSError):  # it then ends by itself
            found = self._quick.read_tagged(_NAME)
            if found and self._is_ours(found):
                self._quick.delete_if(_NAME, tag=found.tag)

    def _put(self, *, tag: str | None) -> bool:
        try:
            return self._store.write_if(_NAME, self._content(), tag=tag) is not None
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            raise UserError(
                f"the storage of {self._store.location} knows no conditional requests, by which "
                f"one run keeps others out; choose another --results"
            ) from error

    def _renew(self) -> None:
        # Some services take no notice of conditions: what is there is looked at as well.
        found = self._quick.read_tagged(_NAME)
        if found is None or not self._is_ours(found):
            self._is_lost = True
            return
        self._num_renewals += 1
        tag = self._quick.write_if(_NAME, self._content(), tag=found.tag)
        self._is_lost = tag is None

    def _is_ours(self, found: Tagged) -> bool:
        return _fields(found.data).get("token") == self._token

    def _content(self) -> bytes:
        lease = {
            "holder": holder.told(),
            "realm": holder.realm(),
            "process": os.getpid(),
            "token": self._token,
            "renewals": self._num_renewals,
        }
        return json.dumps(lease).encode()


def _wait_until_over(store: ObjectStore, first: Tagged) -> Tagged | None:
    """Watch a lease until it is not renewed any more, and return it; `None` if it is gone.

    Raises:
        UserError: It was renewed.
    """
    if _is_of_a_dead_process(first):
        time.sleep(_LOOK_SECONDS)
        return first
    print(
        f"{store.location} is held by {_holder(first)}; taking over in {_EXPIRY_SECONDS:.0f} s "
        f"unless it answers",
        file=sys.stderr,
        flush=True,
    )
    num_looks = 0
    while num_looks * _LOOK_SECONDS < _EXPIRY_SECONDS:
        time.sleep(_LOOK_SECONDS)
        start = time.monotonic()
        found = store.read_tagged(_NAME)
        if found is None:
            return None
        if found.data != first.data:
            raise holder.in_use(store.location, _holder(found))
        # A storage that was away was so for the holder too.
        was_away = time.monotonic() - start > _ANSWER_SECONDS
        num_looks = 0 if was_away else num_looks + 1
    return first


def _is_of_a_dead_process(found: Tagged) -> bool:
    fields = _fields(found.data)
    return holder.has_died(fields.get("process"), fields.get("realm"))


def _holder(found: Tagged) -> str:
    return str(_fields(found.data).get("holder") or "another process")


def _fields(lease: bytes) -> dict[str, Any]:
    try:
        found = json.loads(lease)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
