"""Which trial next: untuned trials and all searches side by side. No ray, no clock, no files.

Untuned trials and searches advance in step, each dealt the same share of its trials, so that a
study that is stopped is about equally far everywhere, and no CPU waits for one slow search.
"""

import functools
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from tune_metalr.search import Search
from tune_metalr.trial import Status, WantedTrial


class Idle(Enum):
    """Why there is no trial to deal."""

    WAIT = "wait"
    """Something that is running has to end first, or a sampler is still thinking."""
    OVER = "over"
    """Everything that the study wants has been dealt."""


class MethodCount(NamedTuple):
    """Where the trials of one method stand."""

    wanted: int
    done: int
    running: int
    diverged: int
    failed: int


class Advancing(Protocol):
    """A search that gives its trials batch by batch; see `RunningSearch`."""

    search: Search

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left to run of it from the beginning, so that it does not think."""
        ...

    def advance(self) -> list[WantedTrial]:
        """Return the next batch; none when the search is over. Slow."""
        ...

    def statuses(self) -> Mapping[str, Status]:
        """Return the status of each of its trials that has ended."""
        ...

    def finals(self) -> list[WantedTrial]:
        """Return the runs of its winners; once it is over."""
        ...

    def hear_failure(self, trial_id: str) -> None:
        """Hear that a trial failed in this run."""
        ...


Job = Callable[[], None]


def at_once(job: Job) -> None:
    """Do a job now."""
    job()


class Dealer:
    """Deals each wanted trial that has no result yet, once.

    What is recorded as a result is never dealt again; what is recorded as failed is tried once
    more in each run. A trial that several cells want is dealt once, for all of them. Searches
    think in another thread, if `later` has one: it calls the jobs that it is given, one by one.
    """

    def __init__(
        self,
        wanted: Iterable[WantedTrial],
        recorded: Mapping[str, Status],
        searches: Sequence[Advancing] = (),
        *,
        later: Callable[[Job], None] = at_once,
        found: Callable[[list[WantedTrial]], None] = lambda _: None,
    ) -> None:
        self._recorded = recorded
        self._later = later
        self._found = found
        self._lock = threading.RLock()
        self._wanted: dict[str, list[WantedTrial]] = {}
        self._status: dict[str, Status] = {}
        self._running: set[str] = set()
        self._untuned: deque[str] = deque()
        self._want(wanted)
        self._lines = [_Line(search) for search in searches]
        self.error: Exception | None = None
        """Why a search cannot go on; then no more of its trials are dealt."""
        self._begin()

    def next(self) -> WantedTrial | Idle:
        """Return the next trial to run, or why there is none now."""
        with self._lock:
            lines = [line for line in self._lines if line.waiting]
            line = min(lines, key=lambda line: line.share_dealt, default=None)
            if line and (not self._untuned or line.share_dealt <= self._share_of_untuned):
                return line.deal()
            if not self._untuned:
                return Idle.OVER if all(line.is_over for line in self._lines) else Idle.WAIT
            trial_id = self._untuned.popleft()
            self._running.add(trial_id)
            return self._wanted[trial_id][0]

    def ended(self, trial_id: str, status: Status) -> None:
        """Hear that a dealt trial has ended.

        Raises:
            ValueError: It was not running.
        """
        with self._lock:
            line = next((line for line in self._lines if trial_id in line.running), None)
            if line is None and trial_id not in self._running:
                raise ValueError(f"trial {trial_id} was not running")
            if line is None:
                self._running.remove(trial_id)
                self._status[trial_id] = status
                return
            line.end(trial_id, status)
            is_batch_over = not line.waiting and not line.running
        if is_batch_over:
            self._later(functools.partial(self._advance, line))

    def again(self, trial_id: str) -> None:
        """Take back a trial that was dealt and whose worker was lost; it is the next to go."""
        with self._lock:
            if trial_id in self._running:
                self._running.remove(trial_id)
                self._untuned.appendleft(trial_id)
                return
            line = next(line for line in self._lines if trial_id in line.running)
            line.waiting.appendleft(line.running.pop(trial_id))

    def wanted(self, trial_id: str) -> WantedTrial:
        """Return a trial that was dealt by its id."""
        running = (line.running[trial_id] for line in self._lines if trial_id in line.running)
        return next(running, None) or self._wanted[trial_id][0]

    def has_failed_before(self, trial_id: str) -> bool:
        """Return whether an earlier run recorded a trial as failed."""
        return self._recorded.get(trial_id) is Status.FAILED

    @property
    def has_earlier_results(self) -> bool:
        """Whether earlier runs recorded any result, of this study or of another form of it."""
        return any(status.is_result for status in self._recorded.values())

    @property
    def num_trials(self) -> int:
        """Trials that the study wants; winners that are not known yet count too."""
        with self._lock:
            return len(self._wanted) + sum(line.num_trials for line in self._lines)

    @property
    def num_ended(self) -> int:
        """Trials that have a status, of this run or an earlier one."""
        with self._lock:
            return len(self._status) + sum(len(line.statuses) for line in self._lines)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to deal, now or later."""
        with self._lock:
            return not self._untuned and all(line.is_over for line in self._lines)

    @property
    def is_short_of_trials(self) -> bool:
        """Whether searches wait for trials that run, and there is nothing else to deal."""
        with self._lock:
            nothing = not self._untuned and not any(line.waiting for line in self._lines)
            return nothing and any(line.running for line in self._lines)

    @property
    def num_waiting(self) -> int:
        """Trials that could be dealt at once."""
        with self._lock:
            return len(self._untuned) + sum(len(line.waiting) for line in self._lines)

    @property
    def num_running(self) -> int:
        """Trials that have been dealt and have not ended."""
        with self._lock:
            return len(self._running) + sum(len(line.running) for line in self._lines)

    def count_by_method(self) -> dict[str, MethodCount]:
        """Return where each method stands, in the study's order."""
        tally: dict[str, Counter[str]] = {}
        with self._lock:
            for trial_id, items in self._wanted.items():
                state = self._status.get(trial_id) or (trial_id in self._running and "running")
                for item in items:
                    tally.setdefault(item.method, Counter()).update(["wanted", str(state)])
            for line in self._lines:
                counter = tally.setdefault(line.source.search.label, Counter())
                counter.update(map(str, line.statuses.values()))
                counter.update(wanted=line.source.search.trials, running=len(line.running))
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

    @property
    def _share_of_untuned(self) -> float:
        return 1 - len(self._untuned) / len(self._wanted)

    def _want(self, wanted: Iterable[WantedTrial]) -> None:
        """Take up trials of no search: those that wait for nothing."""
        for item in wanted:
            trial_id = item.trial.trial_id
            if trial_id in self._wanted:
                self._wanted[trial_id].append(item)
                continue
            self._wanted[trial_id] = [item]
            status = self._recorded.get(trial_id)
            if status is not None and status.is_result:
                self._status[trial_id] = status
            else:
                self._untuned.append(trial_id)

    def _begin(self) -> None:
        """Let all searches think; winners of those that are over are told in one go."""
        complete = [line for line in self._lines if line.source.is_complete]
        if winners := [winner for line in complete for winner in self._think(line)]:
            self._found(winners)
        for line in self._lines:
            if line not in complete:
                self._later(functools.partial(self._advance, line))

    def _advance(self, line: "_Line") -> None:
        """Let a search think, and tell of its winners if it is over."""
        if winners := self._think(line):
            self._found(winners)

    def _think(self, line: "_Line") -> list[WantedTrial]:
        """Let a search think and take up what it wants next; return its winners' runs."""
        try:
            batch = line.source.advance()
            finals = [] if batch else line.source.finals()
            statuses = line.source.statuses()
        except Exception as error:  # told by whoever watches, in another thread
            self.error = error
            return []
        with self._lock:
            line.take(batch, statuses)
            self._want(finals)
        return finals


class _Line:
    """A search, and the trials of its current batch."""

    def __init__(self, source: Advancing) -> None:
        self.source = source
        self.waiting: deque[WantedTrial] = deque()
        self.running: dict[str, WantedTrial] = {}
        self.statuses: dict[str, Status] = {}
        self.is_over = False

    @property
    def num_trials(self) -> int:
        """Trials of the search; until its winners are known, their runs too."""
        search = self.source.search
        return search.trials + (0 if self.is_over else search.finals * len(search.seeds))

    @property
    def share_dealt(self) -> float:
        return (len(self.statuses) + len(self.running)) / self.source.search.trials

    def deal(self) -> WantedTrial:
        item = self.waiting.popleft()
        self.running[item.trial.trial_id] = item
        return item

    def end(self, trial_id: str, status: Status) -> None:
        del self.running[trial_id]
        self.statuses[trial_id] = status
        if status is Status.FAILED:
            self.source.hear_failure(trial_id)

    def take(self, batch: list[WantedTrial], statuses: Mapping[str, Status]) -> None:
        """Take up what came of thinking: the next batch, or the end."""
        self.waiting.extend(batch)
        self.statuses.update(statuses)
        self.is_over = not batch
