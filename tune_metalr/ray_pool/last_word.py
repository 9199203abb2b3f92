"""Telling that the head is gone, where Ray ends this process before it can say so itself.

When a head dies, Ray's C++ part may end a process that has joined it, at once and without a word:
it depends on what Ray was asked for last. Another process outlives it, and has the last word.
"""

import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

HEAD_IS_GONE = (
    "the cluster's head is gone: start it again, or another cluster, and run the same command "
    "again; what has ended is kept"
)

_FAREWELL = b"x"
_ANSWER_SECONDS = 2.0

_CODE = """
import signal, socket, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if not sys.stdin.buffer.read():
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
    except OSError:
        sys.stderr.write(sys.argv[4])
"""


class LastWord:
    """Speaks for this process if it ends without a farewell, and the head does not answer."""

    def __init__(self, address: str) -> None:
        """Start what will speak.

        Args:
            address: `host:port` of the cluster's head.
        """
        host, _, port = address.rpartition(":")
        arguments = (host, port, str(_ANSWER_SECONDS), f"tune-metalr: {HEAD_IS_GONE}\n")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Bid farewell: whatever is to be said, this process has said."""
        with suppress(BrokenPipeError):  # somebody has killed it
            self._process.communicate(_FAREWELL)
