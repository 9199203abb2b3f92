"""Notices that the head of a running cluster is gone. Ray itself would end the process in a minute.

The head holds the cluster's state. Without it no trial ends and none begins, and no node is found.
"""

import socket
import time

_LOOK_SECONDS = 5.0
_ANSWER_SECONDS = 2.0
_PATIENCE_SECONDS = 15.0
"""A head whose state is kept elsewhere may come back."""

_MOST_FAILURES = 3
"""In a row: time alone tells nothing, as who looks may have been held up."""


class HeadWatch:
    """Knocks at the head's door now and then."""

    def __init__(self, address: str) -> None:
        """Begin with a head that answers.

        Args:
            address: `host:port` of the cluster's head.
        """
        self.address = address
        host, _, port = address.rpartition(":")
        self._door = (host, int(port))
        self._last_look = time.monotonic()
        self._num_failures = 0
        self._first_failure = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the head has not answered for long; knocks if it is time."""
        now = time.monotonic()
        if now - self._last_look >= _LOOK_SECONDS:
            self._last_look = now
            self._note(is_there=self._answers(), now=now)
        is_long = now - self._first_failure >= _PATIENCE_SECONDS
        return self._num_failures >= _MOST_FAILURES and is_long

    def _note(self, *, is_there: bool, now: float) -> None:
        if is_there:
            self._num_failures = 0
            return
        if not self._num_failures:
            self._first_failure = now
        self._num_failures += 1

    def _answers(self) -> bool:
        try:
            socket.create_connection(self._door, timeout=_ANSWER_SECONDS).close()
        except OSError:
            return False
        return True
