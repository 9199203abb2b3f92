"""How often a trial was begun, and how much work was lost in between.

A small object stands beside the checkpoint of an unfinished trial. While an attempt lives, it is
written again and again; what lies between the last checkpoint and the last beat of a killed attempt
was done in vain. Both are counted by the worker's own clock, as clocks of nodes differ.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from tune_metalr.provenance import utc_now
from tune_metalr.store import Store

_LONGEST_FAREWELL_SECONDS = 5.0


class Attempts(NamedTuple):
    """The attempts at one trial so far."""

    number: int
    """Of the last attempt, from 1."""
    lost_seconds: float
    """Of the attempts before the last."""
    started_utc: str
    """Start of the first attempt."""
    alive_seconds: float = 0.0
    """From the start of the last attempt to its last beat."""
    saved_seconds: float = 0.0
    """From the start of the last attempt to its last checkpoint."""

    @property
    def lost_with_last(self) -> float:
        """Seconds lost if the last attempt has been killed."""
        return self.lost_seconds + max(0.0, self.alive_seconds - self.saved_seconds)

    def columns(self) -> dict[str, Any]:
        """Return the ledger's columns of a trial that ends now."""
        return {
            "attempts": self.number,
            "lost_seconds": self.lost_seconds,
            "started_utc": self.started_utc,
            "finished_utc": utc_now(),
        }

    def after_a_loss(self) -> "Attempts":
        """Return the attempts so far, the last one lost."""
        return self._replace(lost_seconds=self.lost_with_last, alive_seconds=0.0, saved_seconds=0.0)


class Attempt:
    """One that lives: says so now and then."""

    def __init__(self, store: Store, name: str, attempts: Attempts) -> None:
        self._store = store
        self._name = name
        self._attempts = attempts
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._is_over = False
        self._beat()

    @property
    def attempts(self) -> Attempts:
        """The count, this one included."""
        return self._attempts

    def saved(self) -> None:
        """Hear that all work up to now is in a checkpoint."""
        with self._lock:
            self._attempts = self._attempts._replace(saved_seconds=self._seconds)
        self._beat()

    def live(self, over: threading.Event) -> None:
        """Beat until all is over."""
        while not over.wait(self._store.beat_seconds):
            with suppress(OSError):  # the trial itself will say so
                self._beat()

    def end(self) -> None:
        """Beat no more; a beat that is being written is not waited for."""
        self._is_over = True

    def _beat(self) -> None:
        with self._lock:
            if self._is_over:
                return
            found = read_attempts(self._store, self._name)
            if found and found.number > self._attempts.number:
                # This one was taken for lost, with its node, and the next one lives.
                self._is_over = True
                return
            self._attempts = self._attempts._replace(alive_seconds=self._seconds)
            write_attempts(self._store, self._name, self._attempts)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start


@contextmanager
def attempt(store: Store, name: str) -> Iterator[Attempt]:
    """Begin an attempt, which beats to the end of the `with` block.

    Args:
        store: Where unfinished trials are kept.
        name: Of the object that tells of this trial's attempts.
    """
    earlier = read_attempts(store, name)
    if earlier is None:
        attempts = Attempts(1, 0.0, utc_now())
    else:
        attempts = earlier.after_a_loss()._replace(number=earlier.number + 1)
    living = Attempt(store, name, attempts)
    over = threading.Event()
    thread = threading.Thread(target=living.live, args=(over,), daemon=True)
    thread.start()
    try:
        yield living
    finally:
        over.set()
        living.end()
        thread.join(_LONGEST_FAREWELL_SECONDS)


def read_attempts(store: Store, name: str) -> Attempts | None:
    """Return what is told of a trial's attempts, or `None` if nothing is that can be read."""
    try:
        found = json.loads(store.read(name))
        return Attempts(**{field: found[field] for field in Attempts._fields if field in found})
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_attempts(store: Store, name: str, attempts: Attempts) -> None:
    """Replace what is told of a trial's attempts."""
    store.write(name, json.dumps(attempts._asdict()).encode(), durable=False)
