"""A search as it runs: batch after batch, each told whole before the next one is asked.

A search that goes on after an interruption takes the very same way from its beginning: it asks
again, compares what is proposed with what is recorded, and tells again. So there is one way only.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tune_metalr.errors import UserError
from tune_metalr.lineage import next_round
from tune_metalr.outcome import Outcome, told_of
from tune_metalr.proposals import PARENT, RATE, ProposalState, Sampler, Told
from tune_metalr.proposals.recorded_sampler import RecordedSampler
from tune_metalr.pruning import PastTrial, Pruner, minimum_accuracies
from tune_metalr.search import Search
from tune_metalr.space import Point, is_same_point
from tune_metalr.trial import Status, Trial, WantedTrial, canonical_json, selection_order

_DECIDED_BY_THE_SPACE = frozenset(
    {"optimizer", "schedule", "controller", "hyperparameters", "method_revision"}
)
"""Of a search's definition: what a change of the space may change with it."""

_NAMES = {"round_epochs": "number of generations (trials / batch)", "method_revision": "method"}
"""What a user calls parts of a definition."""

MakeSampler = Callable[[Search], Sampler]


class Records(Protocol):
    """Where proposals are kept, and outcomes are found."""

    def proposals(self, search_id: str) -> list[dict[str, Any]]:
        """Return the recorded proposals of a search, by index."""
        ...

    def outcomes(self, trial_ids: Collection[str]) -> Mapping[str, Outcome]:
        """Return the outcomes of those trials that have one."""
        ...

    def record(self, search_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the recorded proposals of a search."""
        ...

    def forget_states(self, trial_ids: Collection[str]) -> None:
        """Delete what trials of a population have kept for children."""
        ...


class Proposal(NamedTuple):
    """A point that was suggested, and the trial that it points to."""

    point: Point
    trial: Trial
    told: Told | None
    """`None` until its batch has been told."""


class RunningSearch:
    """Advances a search by batches. Slow parts are in `advance`, which one thread may call."""

    def __init__(self, search: Search, make_sampler: MakeSampler, records: Records) -> None:
        self.search = search
        self._make_sampler = make_sampler
        self._records = records
        self._sampler: Sampler | None = None
        self._definition = canonical_json(search.definition())
        self._recorded: list[dict[str, Any]] | None = None
        self._proposals: list[Proposal] = []
        self._outcomes: dict[str, Outcome] = {}
        self._failed_now: set[str] = set()
        self._is_exhausted = False

    @property
    def is_complete(self) -> bool:
        """Whether all its trials had a result, and were told, before this run."""
        recorded = self._begun()[: self.search.trials]
        return len(recorded) == self.search.trials and all(
            row["trial_id"] in self._outcomes and row["state"] for row in recorded
        )

    def check_unchanged(self) -> None:
        """Refuse a search that is not what its recorded proposals were made for.

        Raises:
            UserError: Something that decides its proposals or trials was changed.
        """
        self._begun()

    def hear_failure(self, trial_id: str) -> None:
        """Hear that a trial has failed in this run, and is not to be tried again in it."""
        self._failed_now.add(trial_id)

    def advance(self) -> list[WantedTrial]:
        """Tell all that can be told and ask what can be asked; return the trials to run next.

        Returns:
            The trials of the current batch that have no result; none when the search is over.

        Raises:
            UserError: The recorded proposals are not those of this search, here.
        """
        if self._sampler is None:
            # What is complete needs no sampler: its proposals and what became of them are known.
            self._sampler = (
                RecordedSampler([json.loads(row["parameters"]) for row in self._begun()])
                if self.is_complete
                else self._make_sampler(self.search)
            )
        while True:
            batch = self._current_batch()
            self._learn([self._proposals[index].trial.trial_id for index in batch])
            if waiting := [index for index in batch if self._is_waiting(index)]:
                return [self._wanted(index) for index in waiting]
            self._tell(batch, self._sampler)
            if self._is_exhausted or len(self._proposals) >= self.search.trials:
                self._let_go(self._sampler)
                self._write()
                self._forget_states()
                return []
            self._ask(self._sampler)
            self._write()
            self._forget_states()

    def finals(self) -> list[WantedTrial]:
        """Return the runs of the winners on the search's seeds; of a search that is over.

        The best by validation accuracy, then loss, then the earlier proposal; a configuration
        counts once. Of a population, those that have come farthest go first.
        """
        best: dict[str, Trial] = {}
        for index in sorted(range(self._num_proposals), key=self._standing):
            trial = self._proposals[index].trial
            if self._outcome(index).status is Status.COMPLETED:
                configuration = self.search.final(trial, 1, 0).trial.trial_id
                best.setdefault(configuration, trial)
        winners = list(best.values())[: self.search.finals]
        return [
            self.search.final(winner, rank, seed)
            for seed in self.search.seeds
            for rank, winner in enumerate(winners, start=1)
        ]

    def statuses(self) -> dict[str, Status]:
        """Return the status of each of its trials that has ended."""
        trial_ids = [item.trial.trial_id for item in self._proposals[: self._num_proposals]]
        return {
            trial_id: self._outcome(index).status
            for index, trial_id in enumerate(trial_ids)
            if self._proposals[index].told or trial_id in self._outcomes
        }

    @property
    def _num_proposals(self) -> int:
        """How many count: the last batch is asked whole, whatever the number of trials."""
        return min(len(self._proposals), self.search.trials)

    def _current_batch(self) -> range:
        size = self.search.batch
        first = (len(self._proposals) - 1) // size * size
        return range(max(0, first), self._num_proposals)

    def _begun(self) -> list[dict[str, Any]]:
        """Return what is recorded; read once."""
        if self._recorded is None:
            self._recorded = self._records.proposals(self.search.search_id)
            for row in self._recorded:
                if row["search_definition"] != self._definition:
                    self._refuse_changes(json.loads(row["search_definition"] or "{}"))
            self._learn([row["trial_id"] for row in self._recorded])
        return self._recorded

    def _refuse_changes(self, before: Mapping[str, Any]) -> None:
        """Refuse to go on with another search; what an earlier version did not know was null."""
        now = json.loads(self._definition)
        changed = {key for key in {*before, *now} if before.get(key) != now.get(key)}
        if not changed:
            return
        changed -= _DECIDED_BY_THE_SPACE if "space" in changed else set()
        names = sorted(_NAMES.get(key, key) for key in changed)
        raise UserError(
            f"search '{self.search.name}' was begun with another {' and '.join(names)}; give it a "
            f"new name, or delete its proposals ('{self.search.search_id}.parquet') to start anew"
        )

    def _learn(self, trial_ids: Sequence[str]) -> None:
        unknown = [trial_id for trial_id in trial_ids if trial_id not in self._outcomes]
        if unknown:
            self._outcomes |= self._records.outcomes(unknown)

    def _is_waiting(self, index: int) -> bool:
        """Whether a trial is to be run: it has no result, and its failure is not final."""
        trial_id = self._proposals[index].trial.trial_id
        if self._has_failed_for_good(index) or trial_id in self._failed_now:
            return False
        outcome = self._outcomes.get(trial_id)
        if outcome is not None and not outcome.status.is_result:
            del self._outcomes[trial_id]  # tried again: the next look finds what became of it
            return True
        return outcome is None

    def _has_failed_for_good(self, index: int) -> bool:
        """Whether a later batch was asked in the knowledge that this trial had failed."""
        recorded = self._begun()
        end = (index // self.search.batch + 1) * self.search.batch
        return len(recorded) > end and recorded[index]["state"] == ProposalState.FAIL

    def _outcome(self, index: int) -> Outcome:
        failed = Outcome(Status.FAILED, None, None, ())
        if self._has_failed_for_good(index):
            return failed
        return self._outcomes.get(self._proposals[index].trial.trial_id, failed)

    def _tell(self, batch: range, sampler: Sampler) -> None:
        for index in batch:
            if self._proposals[index].told is not None:
                continue  # nothing was proposed since
            told = told_of(self._outcome(index), self.search.chance)
            self._proposals[index] = self._proposals[index]._replace(told=told)
            sampler.tell(index, told)

    def _let_go(self, sampler: Sampler) -> None:
        """Tell the sampler that what it was asked beyond the last trial comes to nothing."""
        for index in range(self._num_proposals, len(self._proposals)):
            if self._proposals[index].told is None:
                told = Told(ProposalState.FAIL, None)
                self._proposals[index] = self._proposals[index]._replace(told=told)
                sampler.tell(index, told)

    def _ask(self, sampler: Sampler) -> None:
        """Ask a whole batch; what is recorded holds, where it says the same."""
        points = sampler.ask(self.search.batch)
        self._is_exhausted = len(points) < self.search.batch
        history = self._history()
        for point in points:
            index = len(self._proposals)
            point = self._as_recorded(point, index)
            trial = self._trial(point, index, self._minimum_accuracies(history, index))
            self._check_trial(trial, index)
            self._proposals.append(Proposal(point, trial, None))

    def _check_trial(self, trial: Trial, index: int) -> None:
        """Refuse a trial that is not the recorded one: its outcome would be told as another's."""
        recorded = self._begun()
        if index < len(recorded) and recorded[index]["trial_id"] != trial.trial_id:
            raise UserError(
                f"trials of search '{self.search.name}' are not what they were when it was begun: "
                f"code of a method or of its pruner has changed since; give it a new name, or "
                f"delete its proposals ('{self.search.search_id}.parquet') to start anew"
            )

    def _trial(self, point: Point, index: int, minima: tuple[float | None, ...] | None) -> Trial:
        parent, rate = point.get(PARENT), point.get(RATE)
        if self.search.is_population and isinstance(parent, int) and isinstance(rate, int | float):
            return next_round(self._proposals[parent].trial, rate)
        return self.search.proposed(point, index, minima)

    def _forget_states(self) -> None:
        """Delete the states that no trial to come goes on from."""
        if self.search.is_population:
            parents = {item.point.get(PARENT) for item in self._proposals if item.told is None}
            self._records.forget_states(
                [
                    item.trial.trial_id
                    for index, item in enumerate(self._proposals)
                    if item.told is not None and index not in parents
                ]
            )

    def _as_recorded(self, point: Point, index: int) -> Point:
        recorded = self._begun()
        if index >= len(recorded):
            return point
        before: Point = json.loads(recorded[index]["parameters"])
        if not is_same_point(point, before):
            raise UserError(
                f"sampler '{self.search.sampler}' proposes other points than it did when search "
                f"'{self.search.name}' was begun: other versions of its packages, or another "
                f"processor. Go on where it was begun, or delete its proposals "
                f"('{self.search.search_id}.parquet') to start anew"
            )
        return before

    def _history(self) -> list[PastTrial]:
        outcomes = [self._outcome(index) for index in range(self._num_proposals)]
        return [
            PastTrial(index, outcome.curve, outcome.status is Status.DIVERGED)
            for index, outcome in enumerate(outcomes)
            if outcome.status.is_result
        ]

    def _minimum_accuracies(
        self, history: Sequence[PastTrial], index: int
    ) -> tuple[float | None, ...] | None:
        if self.search.pruner is None:
            return None
        return minimum_accuracies(
            Pruner(self.search.pruner),
            history,
            epochs=self.search.epochs,
            index=index,
            search_id=self.search.search_id,
        )

    def _wanted(self, index: int) -> WantedTrial:
        return self.search.wanted(self._proposals[index].trial)

    def _standing(self, index: int) -> tuple[float, ...]:
        return (-self._proposals[index].trial.epochs, *self._rank(index))

    def _rank(self, index: int) -> tuple[float, float]:
        outcome = self._outcome(index)
        return selection_order(outcome.validation_accuracy, outcome.validation_loss_nats)

    def _write(self) -> None:
        """Record what is new. Rows that are still to be told again stay as they are.

        So what was recorded as a failure remains one, until its search has passed it again.
        """
        recorded = self._begun()
        rows = list(recorded)
        for index in range(self._num_proposals):
            if index >= len(recorded):
                rows.append(self._row(index))
            elif self._proposals[index].told is not None:
                rows[index] = self._row(index)
        if rows != recorded:
            self._records.record(self.search.search_id, rows)
            self._recorded = rows

    def _row(self, index: int) -> dict[str, Any]:
        item, search = self._proposals[index], self.search
        return {
            "search_id": search.search_id,
            "search": search.name,
            "workload": search.workload,
            "sampler": search.sampler,
            "pruner": search.pruner,
            "repeat": search.repeat,
            "index": index,
            "parameters": canonical_json(dict(item.point)),
            "trial_id": item.trial.trial_id,
            "told_value": item.told and item.told.value,
            "state": item.told and str(item.told.state),
            "search_definition": self._definition,
        }
