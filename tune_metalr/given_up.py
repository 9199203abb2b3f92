"""Trials that were given up one after the other: when their workers are to blame, not they."""

_MOST_BEFORE_ANY = 4
"""While no trial has a result, such a cluster is likely to be broken as a whole."""

_MOST_IN_A_ROW = 16
"""After trials that ended well, more is needed: a search may propose several that kill."""


class GivenUp:
    """Counts trials that were given up since the last one that ended."""

    def __init__(self, *, has_results: bool) -> None:
        """Begin to count.

        Args:
            has_results: Whether an earlier run has recorded any.
        """
        self._has_results = has_results
        self._in_a_row = 0

    def hear_end(self) -> None:
        """Hear that a trial has ended by itself."""
        self._has_results = True
        self._in_a_row = 0

    def hear(self, *, has_failed_before: bool) -> str | None:
        """Hear that a trial was given up; return why the run should stop, if it should.

        Args:
            has_failed_before: Whether an earlier run gave it up too: then the trial is to blame,
                and a run that is begun again passes it by.
        """
        if has_failed_before:
            return None
        self._in_a_row += 1
        if self._in_a_row < (_MOST_IN_A_ROW if self._has_results else _MOST_BEFORE_ANY):
            return None
        return f"{self._in_a_row} trials in a row were given up"
