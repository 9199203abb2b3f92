"""Words for whoever waits because no node can hold a trial."""

import time
from collections.abc import Callable, Mapping

from tune_metalr.ray_pool.room import told

_SILENCE_SECONDS = 10.0
"""A cluster that is just starting, or has lost one node for another, needs no words."""

_BETWEEN_SECONDS = 120.0


class Vacancy:
    """Tells now and then that no node can hold a trial, and when one can again."""

    def __init__(self, need: Mapping[str, float], say: Callable[[str], None]) -> None:
        self._need = told(need)
        self._say = say
        self._since: float | None = None
        self._next_word = 0.0
        self._has_told = False

    def look(self, slots: int, *, failure: str | None = None) -> None:
        """Take in how many trials fit now.

        Args:
            slots: Trials that can run at once.
            failure: Why the cluster could not start another node.
        """
        now = time.monotonic()
        if slots:
            self._end()
            return
        if self._since is None:
            self._since, self._next_word = now, now + _SILENCE_SECONDS
        if now >= self._next_word:
            self._tell(now - self._since, failure)
            self._next_word = now + _BETWEEN_SECONDS

    def _tell(self, seconds: float, failure: str | None) -> None:
        self._has_told = True
        reason = f"; the last one could not be started: {failure}" if failure else ""
        self._say(
            f"No node can hold a trial, which needs {self._need}: waiting for one since "
            f"{seconds:.0f} s{reason}."
        )

    def _end(self) -> None:
        if self._has_told:
            self._say("A node that can hold a trial is there.")
        self._since, self._has_told = None, False
