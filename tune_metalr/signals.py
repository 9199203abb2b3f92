"""Ctrl-C and termination: the run ends at once, and says how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptedRunError(BaseException):
    """A signal asked the run to end. Like KeyboardInterrupt, no `except Exception` stops it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn signals into `InterruptedRunError`, raised where the main thread is.

    Further signals are ignored, so that an impatient second Ctrl-C cannot stop the clean-up.
    """
    before = {number: signal.signal(number, _raise) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise InterruptedRunError(number)
