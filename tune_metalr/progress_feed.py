"""Progress as lines of a log, from which whoever follows the log draws what a terminal would show.

Each line names the methods that have changed since the last one, so that a long run's log stays
short: read from its beginning, it always gives the whole.
"""

import json
from typing import Any

from tune_metalr.dealer import MethodCount
from tune_metalr.progress_view import Snapshot

_MARK = "tune-metalr-progress "


class FeedWriter:
    """Puts snapshots into lines."""

    def __init__(self) -> None:
        self._told: dict[str, MethodCount] = {}
        self._lost = ""

    def is_news(self, snapshot: Snapshot) -> bool:
        """Return whether a count has changed since the last line."""
        return (dict(snapshot.methods), snapshot.lost) != (self._told, self._lost)

    def line(self, snapshot: Snapshot, *, is_last: bool = False) -> str:
        """Return the line that tells of a snapshot."""
        changed = {
            method: list(count)
            for method, count in snapshot.methods.items()
            if self._told.get(method) != count
        }
        self._told = dict(snapshot.methods)
        self._lost = snapshot.lost
        told = {
            "trials": snapshot.num_trials,
            "ended": snapshot.num_ended,
            "before": snapshot.num_ended_before,
            "seconds": round(snapshot.elapsed_seconds, 1),
            "lost": snapshot.lost,
            "methods": changed,
        }
        return _MARK + json.dumps(told | ({"last": True} if is_last else {}))


class FeedReader:
    """Reads the lines of one run, in their order."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodCount] = {}
        self._snapshot = Snapshot({}, 0, 0, 0, 0.0, "")
        self.has_heard = False
        """Whether there is a snapshot yet."""
        self.is_over = False
        """Whether the run has said its last: nothing is running any more."""

    def hear(self, line: str) -> bool:
        """Take up a line of the log; return whether it told of progress."""
        if not line.startswith(_MARK):
            return False
        try:
            self._take(json.loads(line.removeprefix(_MARK)))
        except (ValueError, TypeError, KeyError, AttributeError):
            return False  # cut off, or another version's: shown as any line
        return True

    def at(self, seconds: float) -> Snapshot:
        """Return the latest snapshot, so many seconds after it was heard of."""
        elapsed = self._snapshot.elapsed_seconds + seconds
        return self._snapshot._replace(elapsed_seconds=elapsed)

    def _take(self, told: dict[str, Any]) -> None:
        methods = {method: MethodCount(*counts) for method, counts in told["methods"].items()}
        self._methods |= methods
        self._snapshot = Snapshot(
            methods=dict(self._methods),
            num_trials=told["trials"],
            num_ended=told["ended"],
            num_ended_before=told["before"],
            elapsed_seconds=told["seconds"],
            lost=told["lost"],
        )
        self.has_heard = True
        self.is_over = told.get("last", False)
