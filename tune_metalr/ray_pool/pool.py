"""One `Tuner.fit` in which a searcher of ours deals what the dealer says, to warm actors.

Facts about Ray 2.60 that shape this file (measured on two cores):
- A trial whose actor is reused costs milliseconds, one with a new actor seconds. Tune keeps
  one idle actor only, so that at a barrier it would stop workers and start new ones; raising
  the maximum of its private actor cache keeps them all. A test counts the processes.
- The searcher deals no more trials than there are slots. A dealt trial then finds its warm
  actor at once, and no placement group is made in vain.
"""

from collections.abc import Callable
from typing import NamedTuple

from tune_metalr.dealer import Idle
from tune_metalr.ray_pool.session import RaySession
from tune_metalr.trial import Status, Trial, WantedTrial
from tune_metalr.work_order import WorkOrder

MAX_ATTEMPTS = 3
"""Attempts at a trial whose worker or node is lost."""

Work = Callable[[str, str], Status]
"""Runs a trial, given as JSON and the study's name of its method, in a worker process."""


class PoolEvents(NamedTuple):
    """What the pool asks and tells. Called in the pool's thread."""

    deal: Callable[[], WantedTrial | Idle]
    ended: Callable[[str, Status], None]
    lost: Callable[[str], None]
    """The trial's worker was lost in each of its attempts."""
    machine_error: Callable[[str], None]
    """A worker could not read or write; no trial is to blame."""


class TrialWork:
    """The work of a real run. Torch is imported in the worker, never in the driver."""

    def __init__(self, order: WorkOrder) -> None:
        self._order = order

    def __call__(self, trial_json: str, method: str) -> Status:
        """Run one trial to its end."""
        from tune_metalr.worker import run_trial

        return run_trial(Trial.from_json(trial_json), method, self._order)


class Pool:
    """Runs trials in actors of a session until the dealer has no more."""

    def __init__(
        self, session: RaySession, work: Work, *, threads_per_trial: int, reuse_actors: bool = True
    ) -> None:
        self._session = session
        self._work = work
        self._threads_per_trial = threads_per_trial
        self._reuse_actors = reuse_actors

    @property
    def slots(self) -> int:
        """Trials that run at once."""
        return self._session.cpus // self._threads_per_trial

    def run(self, events: PoolEvents) -> None:
        """Run trials until the dealer says that it is over and the last one has ended."""
        from ray import tune

        from tune_metalr.ray_pool.tune_parts import DealtSearch, TrialActor, WarmActors

        trainable = tune.with_parameters(TrialActor, work=self._work)
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": self._threads_per_trial}),
            tune_config=tune.TuneConfig(
                search_alg=DealtSearch(events, slots=self.slots),
                scheduler=WarmActors(slots=self.slots),
                num_samples=-1,
                reuse_actors=self._reuse_actors,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=str(self._session.folder / "tune"),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_ATTEMPTS - 1),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
