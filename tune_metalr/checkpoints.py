"""Unfinished trials, kept beside the results: a killed one goes on from its last epoch."""

import hashlib
import time
from typing import NamedTuple

from tune_metalr.store import Store

_DIGEST_BYTES = 32
_SUFFIXES = (".checkpoint", ".attempts")


class UnfinishedNames(NamedTuple):
    """The names of what an unfinished trial has kept."""

    state: str
    attempts: str


class Checkpoints:
    """One object per unfinished trial: a SHA-256 digest, then the bytes of its state."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def save(self, trial_id: str, state: bytes) -> None:
        """Replace the trial's checkpoint."""
        digest = hashlib.sha256(state).digest()
        self.store.write(files_of(trial_id).state, digest + state, durable=False)

    def load(self, trial_id: str) -> bytes | None:
        """Return the trial's last state; `None` if there is none. A damaged one is deleted."""
        name = files_of(trial_id).state
        try:
            data = self.store.read(name)
        except FileNotFoundError:
            return None
        digest, state = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(state).digest() == digest:
            return state
        self.store.delete(name)
        return None

    def remove(self, trial_id: str) -> None:
        """Forget a trial that has ended."""
        for name in files_of(trial_id):
            self.store.delete(name)

    def trial_ids(self) -> list[str]:
        """Return the trials that were begun and have not ended."""
        names = self.store.names()
        return sorted({name.partition(".")[0] for name in names if name.endswith(_SUFFIXES)})

    def sweep(self, *, finished: set[str]) -> None:
        """Delete checkpoints of finished trials and what killed writers left."""
        self.store.sweep()
        for trial_id in self.trial_ids():
            if trial_id in finished:
                self.remove(trial_id)

    def clear(self) -> None:
        """Delete everything, what killed writers left included."""
        self.store.clear()


def files_of(trial_id: str) -> UnfinishedNames:
    """Return the names of a trial's objects."""
    return UnfinishedNames(*(f"{trial_id}{suffix}" for suffix in _SUFFIXES))


class Interval:
    """Says when the next checkpoint is due: at most one interval of work is ever lost."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether the interval has passed; if so, the next one begins."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True
