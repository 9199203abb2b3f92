"""A word for whoever waits because others use the cluster."""

import time
from collections.abc import Callable

_SILENCE_SECONDS = 10.0
"""A place on a node that is free is found sooner."""


class Crowding:
    """Tells that no trial finds a place, once until one has found it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None
        self._has_told = False

    def look(self, is_full: bool) -> None:
        """Take in whether trials wait for a place on a node, and not one has it."""
        now = time.monotonic()
        if not is_full:
            self._since, self._has_told = None, False
            return
        if self._since is None:
            self._since = now
        if now - self._since >= _SILENCE_SECONDS and not self._has_told:
            self._has_told = True
            self._say("The cluster's CPUs are taken by others: waiting.")
