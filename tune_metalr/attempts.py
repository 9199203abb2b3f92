"""How often a trial was begun, and how much work was lost in between.

A small file stands beside the checkpoint of an unfinished trial. While an attempt lives, the
file's modification time follows the clock; what lies between the last checkpoint and the last
beat of a killed attempt was done in vain.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tune_metalr.provenance import utc_now
from tune_metalr.storage import write_whole

_BEAT_SECONDS = 1.0


class Attempts(NamedTuple):
    """The attempts at one trial so far."""

    number: int
    """Of the last attempt, from 1."""
    lost_seconds: float
    started_utc: str
    """Start of the first attempt."""
    began_unix_seconds: float
    """Start of the last attempt."""

    def columns(self) -> dict[str, Any]:
        """Return the ledger's columns of a trial that ends now."""
        return {
            "attempts": self.number,
            "lost_seconds": self.lost_seconds,
            "started_utc": self.started_utc,
            "finished_utc": utc_now(),
        }


@contextmanager
def attempt(path: Path, checkpoint: Path) -> Iterator[Attempts]:
    """Begin an attempt: yield the count, this one included, and keep `path` beating."""
    now = time.time()
    earlier = read_attempts(path)
    if earlier is None:
        attempts = Attempts(1, 0.0, utc_now(), now)
    else:
        lost = max(0.0, _modified(path) - max(earlier.began_unix_seconds, _modified(checkpoint)))
        attempts = earlier._replace(
            number=earlier.number + 1,
            lost_seconds=earlier.lost_seconds + lost,
            began_unix_seconds=now,
        )
    write_whole(path, json.dumps(attempts._asdict()).encode(), durable=False)
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(path, over), daemon=True)
    thread.start()
    try:
        yield attempts
    finally:
        over.set()
        thread.join()


def read_attempts(path: Path) -> Attempts | None:
    """Return what the file says, or `None` if there is none that can be read."""
    try:
        return Attempts(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(_BEAT_SECONDS):
        try:
            os.utime(path)
        except OSError:  # the folder has gone; the trial itself will say so
            return


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
