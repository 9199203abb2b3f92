"""The parts that Ray Tune calls: actor, searcher, scheduler. Imported once ray is set up."""

from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from tune_metalr.dealer import Idle
from tune_metalr.ray_pool.pool import PoolEvents, Work
from tune_metalr.trial import Status


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """A warm process: each call to `step` runs one whole trial."""

    def setup(self, config: dict[str, Any], *, work: Work) -> None:
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
        except OSError as error:
            return {"machine_error": str(error), "done": True}
        return {"status": str(status), "done": True}


class DealtSearch(Searcher):  # type: ignore[misc]
    """Passes the dealer's trials to Tune, and their ends back."""

    def __init__(self, events: PoolEvents, *, slots: int) -> None:
        super().__init__()
        self._events = events
        self._slots = slots
        self._running: dict[str, str] = {}
        """Tune's name of a trial -> ours."""

    def suggest(self, trial_id: str) -> Any:
        """Deal a trial, nothing while all slots are taken, or `FINISHED`."""
        if len(self._running) >= self._slots:
            return None
        dealt = self._events.deal()
        if dealt is Idle.OVER:
            return Searcher.FINISHED
        if isinstance(dealt, Idle):
            return None
        self._running[trial_id] = dealt.trial.trial_id
        return {"trial": dealt.trial.to_json(), "method": dealt.method}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell how a trial ended; an error means that its worker was lost every time."""
        ours = self._running.pop(trial_id)
        if error or result is None:
            self._events.lost(ours)
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


class WarmActors(FIFOScheduler):  # type: ignore[misc]
    """First in, first out; it stops no trial. It only makes Tune keep every idle actor."""

    def __init__(self, *, slots: int) -> None:
        super().__init__()
        self._slots = slots
        self._raised = False

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Raise the actor cache's maximum when the first trial shows its resources."""
        if not self._raised:
            cache = tune_controller._tune_controller._actor_cache
            cache.increase_max(trial.placement_group_factory, by=self._slots)
            self._raised = True
