"""The parts that Ray Tune calls: actor, searcher, scheduler. Imported once ray is set up."""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from tune_metalr.dealer import Idle
from tune_metalr.errors import UserError
from tune_metalr.losses import Cause, Loss
from tune_metalr.ray_pool.crowding import Crowding
from tune_metalr.ray_pool.host_store import Results, seen_from_here
from tune_metalr.ray_pool.loss_text import loss_of
from tune_metalr.ray_pool.pool import PoolEvents, Work
from tune_metalr.ray_pool.room import Room
from tune_metalr.store import Store
from tune_metalr.trial import Status

_LOOK_SECONDS = 2.0
"""Between two looks at which nodes there are."""

_LONGEST_WAIT_SECONDS = 15.0
"""Of a trial for its actor, while another actor is idle."""


class Running(NamedTuple):
    """A trial that is with Tune."""

    trial_id: str
    slot: int
    since: float
    """When it was dealt, by the monotonic clock."""


class TrialActor(tune.Trainable):
    """A warm process: each call to `step` runs one whole trial."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], *, work: Work, results: Results | None
    ) -> None:
        """Keep what was dealt; torch is imported by the first trial and stays."""
        self._config = config
        self._work = work
        self._results: Store | None = None
        self._unseen_from: str | None = None
        self._address: str | None = None
        """Of this node, if there are others."""
        if not results:
            return
        self._address = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        self._results = seen_from_here(results)
        if self._results is None:
            self._results = results.host
            self._unseen_from = self._address

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Run the trial; its row is on disk before Tune hears of it."""
        try:
            status = self._work(self._config["trial"], self._config["method"], self._results)
        except (OSError, UserError) as error:
            where = f"on node {self._address}: " if self._address else ""
            return {"machine_error": f"{where}{error}", "done": True}
        node = ray.get_runtime_context().get_node_id()
        return {"status": str(status), "node": node, "unseen_from": self._unseen_from, "done": True}


class DealtSearch(Searcher):
    """Passes the dealer's trials to Tune, each to a free slot, and their ends back."""

    def __init__(
        self, events: PoolEvents, *, look: Callable[[int], Room], most_trials: int
    ) -> None:
        super().__init__()
        self._events = events
        self._crowding = Crowding(events.say)
        self._num_left = most_trials
        """Of the trials that this fit may still take."""
        self.is_over = False
        """Whether the dealer has no more, for this fit or another."""
        self._look = look
        self._last_look = time.monotonic()
        self._most = look(0).slots
        self._free_slots = list(reversed(range(self._most)))
        """The last one first: its actor is warm, if any is."""
        self._is_full = False
        """Whether all of them were taken since the last look."""
        self._num_slots = self._most
        self._running: dict[str, Running] = {}
        """By Tune's name of a trial."""
        self._nodes: dict[int, str] = {}
        """Of each slot whose actor has ended a trial, that actor's node."""
        self.last_loss = Loss(Cause.WORKER, "no reason given")
        """How the last worker was lost."""
        self.actors: WarmActors | None = None

    def suggest(self, trial_id: str) -> Any:
        """Deal a trial, nothing while all slots are taken, or `FINISHED`."""
        self._follow_the_cluster()
        # After a node has gone there are more slots than room; those of living actors come first.
        if len(self._running) >= self._most:
            self._is_full = True
            return None
        dealt = self._events.deal() if self._num_left else Idle.OVER
        if dealt is Idle.OVER:
            # What runs may be lost, and is then dealt again.
            if self._running:
                return None
            self.is_over = self._num_left > 0
            return Searcher.FINISHED
        if isinstance(dealt, Idle):
            return None
        self._num_left -= 1
        slot = self._free_slots.pop()
        self._running[trial_id] = Running(dealt.trial.trial_id, slot, time.monotonic())
        return {"trial": dealt.trial.to_json(), "method": dealt.method, "slot": slot}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell how a trial ended; an error means that its worker was lost."""
        ours, slot, _ = self._running.pop(trial_id)
        if error or result is None:
            self._cool(slot)
            if error:
                self._last_look = 0.0
                self._events.lost(ours, self.last_loss)
            else:
                self._events.again(ours)
            return
        self._free_slots.append(slot)
        if "machine_error" in result:
            self._events.machine_error(result["machine_error"])
            return
        self._nodes[slot] = result["node"]
        if result["unseen_from"]:
            self._events.unseen(result["unseen_from"])
        self._events.ended(ours, Status(result["status"]))

    def _cool(self, slot: int) -> None:
        """Free a slot that has no actor: it is the last to be dealt to."""
        self._nodes.pop(slot, None)
        self._free_slots.insert(0, slot)

    def _follow_the_cluster(self) -> None:
        """Look now and then how many trials fit, and that no trial waits in vain."""
        now = time.monotonic()
        if now - self._last_look < _LOOK_SECONDS:
            return
        self._last_look = now
        room = self._look(self._num_without_place())
        self._most = room.slots
        new = range(self._num_slots, self._most)
        self._free_slots[:0] = reversed(new)
        self._num_slots = max(self._num_slots, self._most)
        if self.actors:
            self._dismiss_the_dead(room.nodes, self.actors)
            self._free_the_stuck(now, self.actors)
            # That no node is there at all is said elsewhere.
            self._crowding.look(room.slots > 0 and self._is_without_place(self.actors))

    def _is_without_place(self, actors: "WarmActors") -> bool:
        """Return whether trials are dealt and none has a place: others use what was counted."""
        return bool(self._running) and all(map(actors.has_no_place, self._running))

    def _num_without_place(self) -> int:
        """Count the trials that could run if there were more room; 0 while any is to be had.

        Places that were asked for must not be found where an actor is about to start.
        """
        is_full, self._is_full = self._is_full, False
        actors = self.actors
        if not is_full or (actors and any(map(actors.is_waiting, self._running))):
            return 0
        return self._events.num_waiting()

    def _dismiss_the_dead(self, nodes: Collection[str], actors: "WarmActors") -> None:
        """Give up idle actors of lost nodes: until then their places on new nodes are taken."""
        idle = [slot for slot in self._free_slots if slot in self._nodes]
        for slot in idle:
            if self._nodes[slot] not in nodes:
                actors.dismiss(slot)
                self._free_slots.remove(slot)
                self._cool(slot)

    def _free_the_stuck(self, now: float, actors: "WarmActors") -> None:
        """Take back trials that wait for an actor of their own while others are idle."""
        idle = sum(slot in self._nodes for slot in self._free_slots)
        waiting = [
            name
            for name, running in self._running.items()
            if now - running.since > _LONGEST_WAIT_SECONDS and actors.is_waiting(name)
        ]
        for name in waiting[:idle]:
            actors.withdraw(name)

    def __getstate__(self) -> dict[str, Any]:
        """Give nothing to the pickle that Tune makes of its searcher: it is never read."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a study resumes from its ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a study resumes from its ledger."""


class WarmActors(FIFOScheduler):
    """First in, first out; it stops no trial that has begun.

    It makes Tune keep every idle actor, and tells the search why a worker was lost.
    """

    def __init__(self, search: DealtSearch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._search = search
        self._controller: Any = None
        self._slots: dict[int, Any] = {}
        """What Tune knows a slot by."""
        self._trials: dict[str, Any] = {}
        """Those that have not ended, by Tune's name."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Let Tune's actor cache keep one actor for each slot that is dealt to."""
        self._search.actors = self
        self._controller = tune_controller._tune_controller
        self._trials[trial.trial_id] = trial
        slot = trial.config["slot"]
        if slot not in self._slots:
            self._slots[slot] = trial.placement_group_factory
            self._controller._actor_cache.increase_max(trial.placement_group_factory)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Forget a trial that has ended."""
        self._trials.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that was withdrawn."""
        self._trials.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep what Tune says of the loss, in a file that is this run's own."""
        self._trials.pop(trial.trial_id, None)
        try:
            text = Path(trial.error_file).read_text()
        except (OSError, TypeError):
            text = ""
        self._search.last_loss = loss_of(text)

    def is_waiting(self, name: str) -> bool:
        """Return whether a trial has no actor yet."""
        trial = self._trials.get(name)
        return trial is not None and trial.status == Trial.PENDING

    def has_no_place(self, name: str) -> bool:
        """Return whether a trial waits for a place on a node, and not for an actor to start."""
        actor = self._controller._trial_to_actor.get(self._trials.get(name))
        manager = self._controller._actor_manager
        return self.is_waiting(name) and not (actor and manager.is_actor_started(actor))

    def withdraw(self, name: str) -> None:
        """Have Tune drop a trial that waits; the search hears of its end without a result."""
        trial, controller = self._trials[name], self._controller
        if (actor := controller._trial_to_actor.get(trial)) is not None:
            _let_go(actor)  # it may start at this moment
        if trial in controller._staged_trials:
            controller._unstage_trial_with_resources(trial)
        controller.stop_trial(trial)

    def dismiss(self, slot: int) -> None:
        """End the idle actor of a slot, and free what it holds of the cluster."""
        cache = self._controller._actor_cache
        while (actor := cache.pop_cached_object(self._slots[slot])) is not None:
            _let_go(actor)
            self._controller._remove_actor(tracked_actor=actor)


def _let_go(actor: Any) -> None:
    """Have Tune told nothing more of an actor."""
    actor.set_on_start(None)
    actor.set_on_stop(None)
    actor.set_on_error(None)


def slot_resources(config: dict[str, Any], *, need: Mapping[str, float]) -> Any:
    """Return what a trial needs; a byte of memory more or less tells the slots apart."""
    return tune.PlacementGroupFactory([{**need, "memory": 1 + config["slot"]}])


def use_waiting_workers() -> None:
    """Let Tune's actors have no runtime environment, so that workers that wait can take them.

    Ray 2.60 (`class_cache.py`) gives each actor these variables; the workers of a private cluster
    have them from this process.
    """
    class_cache.DEFAULT_ENV_VARS = {}
    class_cache.ENV_VARS_TO_PROPAGATE = set()


def hand_on_no_secrets() -> None:
    """Keep the driver's keys of a storage to itself: Ray writes an actor's variables into logs.

    A node that has none of its own sends its results through the driver's node.
    """
    names = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {name for name in names if not name.startswith("AWS_")}
