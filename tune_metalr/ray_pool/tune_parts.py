"""The parts that Ray Tune calls: actor, searcher, scheduler. Imported once ray is set up."""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from tune_metalr.dealer import Idle
from tune_metalr.errors import UserError
from tune_metalr.ray_pool.pool import PoolEvents, Work
from tune_metalr.trial import Status


class Running(NamedTuple):
    """A trial that is with Tune."""

    trial_id: str
    slot: int


class TrialActor(tune.Trainable):
    """A warm process: each call to `step` runs one whole trial."""

    def setup(self, config: dict[str, Any], *, work: Work) -> None:  # type: ignore[override]
        """Keep what was dealt; torch is imported by the first trial and stays."""
        self._config = config
        self._work = work

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Run the trial; its row is on disk before Tune hears of it."""
        try:
            status = self._work(self._config["trial"], self._config["method"])
        except (OSError, UserError) as error:
            return {"machine_error": str(error), "done": True}
        return {"status": str(status), "done": True}


class DealtSearch(Searcher):
    """Passes the dealer's trials to Tune, each to a free slot, and their ends back."""

    def __init__(self, events: PoolEvents, *, slots: int) -> None:
        super().__init__()
        self._events = events
        self._free_slots = list(reversed(range(slots)))
        self._running: dict[str, Running] = {}
        """By Tune's name of a trial."""
        self.last_error: str | None = None
        """How Tune described the last loss of a worker."""

    def suggest(self, trial_id: str) -> Any:
        """Deal a trial, nothing while all slots are taken, or `FINISHED`."""
        if not self._free_slots:
            return None
        dealt = self._events.deal()
        if dealt is Idle.OVER:
            return Searcher.FINISHED
        if isinstance(dealt, Idle):
            return None
        slot = self._free_slots.pop()
        self._running[trial_id] = Running(dealt.trial.trial_id, slot)
        return {"trial": dealt.trial.to_json(), "method": dealt.method, "slot": slot}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell how a trial ended; an error means that its worker was lost every time."""
        ours, slot = self._running.pop(trial_id)
        self._free_slots.append(slot)
        if error or result is None:
            self._events.lost(ours, self.last_error or "no reason given")
        elif "machine_error" in result:
            self._events.machine_error(result["machine_error"])
        else:
            self._events.ended(ours, Status(result["status"]))

    def __getstate__(self) -> dict[str, Any]:
        """Give nothing to the pickle that Tune makes of its searcher: it is never read."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a study resumes from its ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a study resumes from its ledger."""


class WarmActors(FIFOScheduler):
    """First in, first out; it stops no trial.

    It makes Tune keep every idle actor, and tells the search why a worker was lost.
    """

    def __init__(self, search: DealtSearch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._search = search
        self._kept: set[Any] = set()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Let Tune's actor cache keep one actor for each slot that is dealt to."""
        slot = trial.placement_group_factory
        if slot not in self._kept:
            tune_controller._tune_controller._actor_cache.increase_max(slot)
            self._kept.add(slot)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep the last line of Tune's error file: of several losses, the last is described."""
        with suppress(OSError, TypeError):
            lines = Path(trial.error_file).read_text().split("\n")
            self._search.last_error = [line.strip() for line in lines if line.strip()][-1][:200]


def slot_resources(config: dict[str, Any], *, cpus: int) -> tune.PlacementGroupFactory:
    """Return what a trial needs; a byte of memory more or less tells the slots apart."""
    return tune.PlacementGroupFactory([{"CPU": cpus, "memory": 1 + config["slot"]}])


def use_waiting_workers() -> None:
    """Let Tune's actors have no runtime environment, so that workers that wait can take them.

    Ray 2.60 (`class_cache.py`) gives each actor these variables; the workers of a private cluster
    have them from this process.
    """
    class_cache.DEFAULT_ENV_VARS = {}
    class_cache.ENV_VARS_TO_PROPAGATE = set()
