"""Compacts a ledger now and then, beside what else the driver does: a storage may take minutes."""

import threading

from tune_metalr.ledger import Ledger

_EVERY = 256
"""Trials between two compactions."""


class Compaction:
    """One at a time, in a thread of its own."""

    def __init__(self, ledger: Ledger, num_ended: int) -> None:
        self._ledger = ledger
        self._num_compacted = num_ended
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def look(self, num_ended: int) -> None:
        """Begin one if it is time.

        Args:
            num_ended: Trials that have ended so far.

        Raises:
            Exception: The last one failed.
        """
        if self._thread and self._thread.is_alive():
            return
        self._raise_error()
        if num_ended - self._num_compacted >= _EVERY:
            self._num_compacted = num_ended
            self._thread = threading.Thread(target=self._compact, daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait for the last one.

        Raises:
            Exception: It failed.
        """
        if self._thread:
            self._thread.join()
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error:
            raise self._error

    def _compact(self) -> None:
        try:
            self._ledger.compact()
        except Exception as error:  # raised where the driver watches
            self._error = error
