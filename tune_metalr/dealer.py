"""Which trial next. Pure: no ray, no clock, no files."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from tune_metalr.trial import Status, WantedTrial


class Idle(Enum):
    """Why there is no trial to deal."""

    WAIT = "wait"
    """Something that is running has to end first."""
    OVER = "over"
    """Everything that the study wants has been dealt."""


class MethodCount(NamedTuple):
    """Where the trials of one method stand."""

    wanted: int
    done: int
    running: int
    diverged: int
    failed: int


class Dealer:
    """Deals each wanted trial that has no result yet, once.

    What is recorded as a result is never dealt again; what is recorded as failed is tried once
    more in each run. A trial that several cells want is dealt once, for all of them.
    """

    def __init__(self, wanted: Iterable[WantedTrial], recorded: Mapping[str, Status]) -> None:
        self._wanted: dict[str, list[WantedTrial]] = {}
        for item in wanted:
            self._wanted.setdefault(item.trial.trial_id, []).append(item)
        self._status = {
            trial_id: status
            for trial_id, status in recorded.items()
            if trial_id in self._wanted and status.is_result
        }
        self._waiting = deque(key for key in self._wanted if key not in self._status)
        self._running: set[str] = set()

    def next(self) -> WantedTrial | Idle:
        """Return the next trial to run, or why there is none now."""
        if not self._waiting:
            return Idle.OVER
        trial_id = self._waiting.popleft()
        self._running.add(trial_id)
        return self._wanted[trial_id][0]

    def ended(self, trial_id: str, status: Status) -> None:
        """Hear that a dealt trial has ended.

        Raises:
            ValueError: It was not running.
        """
        if trial_id not in self._running:
            raise ValueError(f"trial {trial_id} was not running")
        self._running.remove(trial_id)
        self._status[trial_id] = status

    def wanted(self, trial_id: str) -> WantedTrial:
        """Return a trial of the study by its id."""
        return self._wanted[trial_id][0]

    @property
    def num_trials(self) -> int:
        """Trials that the study wants."""
        return len(self._wanted)

    @property
    def num_ended(self) -> int:
        """Trials that have a status, of this run or an earlier one."""
        return len(self._status)

    @property
    def num_waiting(self) -> int:
        """Trials that have not been dealt."""
        return len(self._waiting)

    def count_by_method(self) -> dict[str, MethodCount]:
        """Return where each method stands, in the study's order."""
        tally: dict[str, Counter[str]] = {}
        for trial_id, items in self._wanted.items():
            status = self._status.get(trial_id)
            for item in items:
                counter = tally.setdefault(item.method, Counter())
                counter["wanted"] += 1
                if status is not None:
                    counter[status] += 1
                elif trial_id in self._running:
                    counter["running"] += 1
        return {
            method: MethodCount(
                wanted=counter["wanted"],
                done=counter[Status.COMPLETED] + counter[Status.PRUNED],
                running=counter["running"],
                diverged=counter[Status.DIVERGED],
                failed=counter[Status.FAILED],
            )
            for method, counter in tally.items()
        }
