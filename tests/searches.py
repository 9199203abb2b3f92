"""Searches whose trials are made up: a formula instead of training, a dictionary for a ledger."""

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from tune_metalr.dealer import Dealer, Idle, Job, at_once
from tune_metalr.outcome import Outcome
from tune_metalr.proposals import POPULATION, SAMPLERS, Sampler, make_sampler
from tune_metalr.running_search import RunningSearch
from tune_metalr.search import Search
from tune_metalr.space import Axis, Kind, Point
from tune_metalr.trial import Status, Trial, WantedTrial

EPOCHS = 9
CLIFF = 1.0
"""Rates above it diverge."""

SPACE = {
    "lr": Axis(kind=Kind.LOG_UNIFORM, low=1e-4, high=10.0),
    "momentum": Axis(kind=Kind.UNIFORM, low=0.0, high=0.9),
    "patience": Axis(kind=Kind.INT, low=1, high=5),
    "schedule": Axis(kind=Kind.CHOICE, choices=("constant", "cosine")),
}


def trial_at(point: Point) -> Trial:
    settings = {name: value for name, value in point.items() if name != "schedule"}
    return Trial(
        workload="digits-cnn", workload_settings={}, data_version="v", optimizer="sgd",
        schedule=str(point.get("schedule", "constant")), controller="fixed",
        hyperparameters=settings, method_revision="1", seed=0, epochs=EPOCHS, batch_size=64,
        train_examples=None, precision="float32", threads=1,
    )  # fmt: skip


def make_search(**changes: Any) -> Search:
    fields: dict[str, Any] = {
        "name": "wide", "workload": "digits-cnn", "sampler": "random", "pruner": None,
        "repeat": 0, "space": SPACE, "grid": {"lr": 4, "momentum": 3, "patience": 2},
        "trials": 14, "batch": 4, "finals": 2, "seeds": (0, 1), "epochs": EPOCHS,
        "chance": 0.1, "target_accuracy": None, "make_trial": trial_at,
    }  # fmt: skip
    return Search(**fields | changes)


def sampler_of(search: Search) -> Sampler:
    return make_sampler(search.sampler, search.space, seed=search.sampler_seed, grid=search.grid)


def result_of(trial: Trial) -> Outcome:
    """Return what a trial comes to: best near a rate of 0.01, and a little luck of its seed."""
    settings = trial.hyperparameters
    if settings["lr"] > CLIFF:
        return Outcome(Status.DIVERGED, None, None, (0.1,))
    peak = 0.9 * math.exp(-0.3 * (math.log10(settings["lr"]) + 2) ** 2)
    peak -= 0.1 * abs(settings.get("momentum", 0.5) - 0.5)
    peak += 0.05 * random.Random(trial.seed).random()
    curve: list[float] = []
    for epoch in range(1, trial.epochs + 1):
        curve.append(peak * (1 - 0.5**epoch))
        minimum = (trial.minimum_accuracies or (None,) * trial.epochs + (None,))[epoch - 1 : epoch]
        if minimum and minimum[0] is not None and curve[-1] < minimum[0]:
            return Outcome(Status.PRUNED, None, None, tuple(curve))
    return Outcome(Status.COMPLETED, peak, 1 - peak, tuple(curve))


FAILED = Outcome(Status.FAILED, None, None, ())


class KilledError(BaseException):
    """Stands for `kill -9`: nothing catches it, nothing is tidied up."""


class MemoryRecords:
    """What outlives a run: proposals and outcomes. May end the run at any event."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.ended: dict[str, Outcome] = {}
        self.runs: Counter[str] = Counter()
        """How often each trial was run to its end."""
        self.forgotten: set[str] = set()
        self.num_writes = 0
        self._events_left = math.inf

    def kill_after(self, events: float) -> None:
        self._events_left = events

    def tick(self) -> None:
        self._events_left -= 1
        if self._events_left < 0:
            raise KilledError

    def proposals(self, search_id: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.rows.get(search_id, [])]

    def outcomes(self, trial_ids: Collection[str]) -> Mapping[str, Outcome]:
        return {trial_id: self.ended[trial_id] for trial_id in trial_ids if trial_id in self.ended}

    def record(self, search_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.tick()
        self.rows[search_id] = [dict(row) for row in rows]
        self.num_writes += 1
        self.tick()

    def end(self, trial: Trial, outcome: Outcome) -> None:
        """Write an outcome as a worker does: a failure never replaces a result."""
        self.tick()
        self.runs[trial.trial_id] += 1
        if outcome.status.is_result or trial.trial_id not in self.ended:
            self.ended[trial.trial_id] = outcome
        self.tick()

    def forget_states(self, trial_ids: Collection[str]) -> None:
        self.forgotten.update(trial_ids)

    def of(self, search: Search) -> list[dict[str, Any]]:
        return self.rows[search.search_id]


Objective = Callable[[Trial], Outcome]


def run_searches(
    searches: Sequence[Search],
    records: MemoryRecords,
    *,
    slots: int = 2,
    order: int = 0,
    objective: Objective = result_of,
    untuned: Iterable[WantedTrial] = (),
    make: Callable[[Search], Sampler] = sampler_of,
    later: Callable[[Job], None] = at_once,
) -> list[WantedTrial]:
    """Run what is left, in `slots` workers that end in the random order of a seed.

    Returns:
        What was dealt.
    """
    rng = random.Random(order)
    statuses = {trial_id: outcome.status for trial_id, outcome in records.ended.items()}
    running_searches = [RunningSearch(search, make, records) for search in searches]
    dealer = Dealer(untuned, statuses, running_searches, later=later)
    running: list[WantedTrial] = []
    dealt: list[WantedTrial] = []
    while True:
        while len(running) < slots and isinstance(item := dealer.next(), WantedTrial):
            running.append(item)
            dealt.append(item)
        if dealer.error:
            raise dealer.error
        if not running and not dealer.is_over:
            time.sleep(0.001)  # a search thinks in its thread
            continue
        if not running:
            assert dealer.next() is Idle.OVER
            assert dealer.num_ended == dealer.num_trials
            return dealt
        records.tick()
        item = running.pop(rng.randrange(len(running)))
        outcome = objective(item.trial)
        records.end(item.trial, outcome)
        dealer.ended(item.trial.trial_id, outcome.status)


ASKED = [name for name in SAMPLERS if name != POPULATION]
"""Samplers whose trials are whole runs; populations have tests of their own."""

QUICK = [name for name in ASKED if name != "gp"]
"""Samplers that propose within milliseconds."""


def search_of(sampler: str, pruner: str | None = None, **changes: Any) -> Search:
    """Return a search long enough for its sampler to learn something, on axes that it takes."""
    trials = {"gp": 14, "tpe": 22, "cmaes": 22}.get(sampler, 14)
    # The Gaussian process thinks for a second about each number.
    names = {"gp": ("lr", "schedule"), "cmaes": ("lr", "momentum")}.get(sampler, tuple(SPACE))
    fields = {"trials": trials, "space": {name: SPACE[name] for name in names}}
    return make_search(sampler=sampler, pruner=pruner, **fields | changes)


def whole(search: Search, **options) -> MemoryRecords:
    """Run a search without interruption."""
    records = MemoryRecords()
    run_searches([search], records, **options)
    return records


def points(records: MemoryRecords, search: Search) -> list[dict]:
    return [json.loads(row["parameters"]) for row in records.of(search)]


def unlucky(trial: Trial) -> Outcome:
    """Fail one trial in four, always the same ones."""
    return FAILED if trial.seed % 4 == 0 else result_of(trial)


def finals(search: Search, records: MemoryRecords) -> list[tuple[str, int, str]]:
    """Return the winners' runs: method, seed, configuration."""
    running = RunningSearch(search, sampler_of, records)
    while running.advance():
        raise AssertionError("not over")
    return [
        (item.method, item.trial.seed, json.dumps(dict(item.trial.hyperparameters)))
        for item in running.finals()
    ]
