"""Compaction beside a driver that watches: it never waits for the storage."""

import threading
import time

import pytest

from tune_metalr.compaction import Compaction


class SlowLedger:
    """One whose storage answers when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.answered = threading.Event()
        self.num_compactions = 0
        self._error = error

    def compact(self) -> None:
        self.num_compactions += 1
        assert self.answered.wait(10)
        if self._error:
            raise self._error


def test_the_driver_goes_on_while_the_storage_is_slow():
    ledger = SlowLedger()
    compaction = Compaction(ledger, 0)
    start = time.monotonic()
    for num_ended in (100, 256, 600, 2000):
        compaction.look(num_ended)
    assert time.monotonic() - start < 1
    assert ledger.num_compactions == 1, "one at a time"
    ledger.answered.set()
    compaction.finish()
    compaction.look(2000)
    compaction.finish()
    assert ledger.num_compactions == 2


def test_what_a_run_finds_is_not_counted():
    ledger = SlowLedger()
    compaction = Compaction(ledger, 1000)
    compaction.look(1200)
    compaction.finish()
    assert ledger.num_compactions == 0


def test_its_error_is_the_drivers():
    ledger = SlowLedger(OSError("the disk is full"))
    compaction = Compaction(ledger, 0)
    compaction.look(300)
    ledger.answered.set()
    with pytest.raises(OSError, match="the disk is full"):
        compaction.finish()
    with pytest.raises(OSError, match="the disk is full"):
        compaction.look(301)
