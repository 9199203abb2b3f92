"""Ctrl-C and termination: the run ends at once, and says how to go on."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLEAN_UP_SECONDS = 10.0


class InterruptedRunError(BaseException):
    """A signal asked the run to end. Like KeyboardInterrupt, no `except Exception` stops it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn signals into `InterruptedRunError`, raised where the main thread is.

    For ten seconds further signals are ignored, so that an impatient second Ctrl-C cannot stop
    the clean-up.
    """
    handler = _Handler()
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class _Handler:
    def __init__(self) -> None:
        self._last = -math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last > _CLEAN_UP_SECONDS:
            self._last = now
            raise InterruptedRunError(number)
