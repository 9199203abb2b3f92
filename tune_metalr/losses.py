"""Trials whose worker was lost: which are tried again, and what they tell of the machines."""

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

MOST_KILLS = 3
"""Workers that a trial may take with it before it is given up."""

_MOST_NODES = 10
"""Nodes under a trial that may be lost. A node that goes is hardly ever a trial's fault."""


class Cause(StrEnum):
    """What became of a worker."""

    WORKER = "its worker died"
    START = "its worker could not start"
    """No trial is to blame: the node's installation is another one, or misses something."""
    MEMORY = "its node ran out of memory"
    NODE = "its node was lost"
    """Switched off, taken back by its owner, or out of reach."""


class Loss(NamedTuple):
    """A worker that was lost in the midst of a trial."""

    cause: Cause
    detail: str
    """What Ray said of it."""


class Losses:
    """Counts a run's losses."""

    def __init__(self) -> None:
        self._kills: Counter[str] = Counter()
        self._nodes: Counter[str] = Counter()
        self.count: Counter[Cause] = Counter()
        """All of them."""

    def hear(self, trial_id: str, loss: Loss) -> str | None:
        """Count a loss; return why the trial is given up, or `None` if it is to be tried again."""
        self.count[loss.cause] += 1
        if loss.cause is Cause.NODE:
            self._nodes[trial_id] += 1
            if self._nodes[trial_id] < _MOST_NODES:
                return None
            return f"its node was lost {_MOST_NODES} times: {loss.detail}"
        self._kills[trial_id] += 1
        if self._kills[trial_id] < MOST_KILLS:
            return None
        what = "its node ran out of memory" if loss.cause is Cause.MEMORY else "its worker was lost"
        return f"{what} {MOST_KILLS} times: {loss.detail}"

    def line(self) -> str:
        """Return what was lost in a few words; nothing if nothing was."""
        counts = dict(self.count)  # another thread may be hearing of one more
        return ", ".join(f"{count} {_told(cause, count)}" for cause, count in counts.items())


def _told(cause: Cause, count: int) -> str:
    if cause is Cause.MEMORY:
        return "to lack of memory"
    name = "node" if cause is Cause.NODE else "worker"
    return name if count == 1 else f"{name}s"
