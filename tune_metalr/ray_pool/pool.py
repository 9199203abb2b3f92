"""A `Tuner.fit` in which a searcher of ours deals what the dealer says, to warm actors.

Facts about Ray 2.60 that shape this file (measured on two cores):
- A trial whose actor is reused costs milliseconds, one with a new actor seconds. Tune keeps
  one idle actor only, so that at a barrier it would stop workers and start new ones; raising
  the maximum of its private actor cache keeps them all. A test counts the processes.
- Tune gives an idle actor to any trial that waits, also to one whose own actor is just
  starting, and stops that one: with trials shorter than an actor's start, one CPU does all the
  work. So the searcher deals each trial to a slot, slots differ in their resources, and an
  actor serves its own slot alone. No placement group is then made twice.
- Tune keeps all that it knows of a trial until its fit ends. So long studies take several.
- Tune counts a lost node as a fault of the trial. So it tries nothing again: each loss is told
  with its cause, and who deals decides.
"""

import functools
import itertools
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tune_metalr.dealer import Idle
from tune_metalr.errors import UserError
from tune_metalr.losses import Loss
from tune_metalr.ray_pool.session import RaySession
from tune_metalr.store import Store
from tune_metalr.trial import Status, Trial, WantedTrial
from tune_metalr.work_order import WorkOrder

if TYPE_CHECKING:
    from ray import tune

    from tune_metalr.ray_pool.cluster import Cluster
    from tune_metalr.ray_pool.host_store import Results
    from tune_metalr.ray_pool.room import Room
    from tune_metalr.ray_pool.tune_parts import DealtSearch

Work = Callable[[str, str, Store | None], Status]
"""Runs a trial, given as JSON and the study's name of its method, in a worker process. The third
argument is where results go from there, if that is not where the work knows."""


class PoolEvents(NamedTuple):
    """What the pool asks and tells. Called in the pool's thread."""

    deal: Callable[[], WantedTrial | Idle]
    ended: Callable[[str, Status], None]
    lost: Callable[[str, Loss], None]
    """The trial's worker was lost; the trial is no longer with the pool."""
    again: Callable[[str], None]
    """The trial waited for a place while another one was free; it is no longer with the pool."""
    machine_error: Callable[[str], None]
    """A worker could not read or write; no trial is to blame."""
    unseen: Callable[[str], None] = lambda _: None
    """A node, by its address, cannot see the results: they go through the driver's node."""
    num_waiting: Callable[[], int] = lambda: 0
    """Trials that could run now if they had a place."""
    say: Callable[[str], None] = lambda _: None
    """What whoever waits should know, in a sentence."""


class PoolOptions(NamedTuple):
    """What the pool needs to know of trials and results."""

    need: Mapping[str, float]
    """What a trial takes of a node, by Ray's name of the resource."""
    most_cpus: int | None = None
    """CPUs of a running cluster that may be used; `None` takes all."""
    results: Store | None = None
    """What nodes of a running cluster may not see; `None` of work that has no results."""
    reuse_actors: bool = True
    most_trials_of_a_fit: int = 2000
    """After so many another `Tuner.fit` goes on, and the driver's memory is free again: of 5,000
    trials each takes 45 kB, in a single fit 50."""


class TrialWork:
    """The work of a real run. Torch is imported in the worker, never in the driver."""

    def __init__(self, order: WorkOrder) -> None:
        self._order = order

    def __call__(self, trial_json: str, method: str, results: Store | None) -> Status:
        """Run one trial to its end."""
        from tune_metalr.worker import prepare_process, run_trial

        prepare_process()
        order = self._order if results is None else self._order._replace(results=results)
        return run_trial(Trial.from_json(trial_json), method, order)


class Pool:
    """Runs trials in actors of a session until the dealer has no more."""

    def __init__(self, session: RaySession, work: Work, options: PoolOptions) -> None:
        self._session = session
        self._work = work
        self._options = options
        self.slots: int | None = None
        """Trials at once; `None` until the pool is connected. Changes as nodes come and go."""
        self._marker: bytes | None = None
        """What nodes look for; `None` of a run that has written none."""

    def run(self, events: PoolEvents) -> None:
        """Connect, and run trials until the dealer is through and the last one has ended.

        Raises:
            UserError: The cluster cannot be reached, or none of its nodes can hold a trial.
        """
        self._check_cpus()
        self._session.connect()
        from tune_metalr.ray_pool.cluster import Cluster

        cluster = Cluster(
            self._options.need,
            most_cpus=self._options.most_cpus,
            can_grow=not self._session.is_private,
            say=events.say,
        )
        cluster.wait_for_room(events.num_waiting)
        results = self._results()
        for number in itertools.count():
            search = self._search(events, cluster)
            self._tuner(search, results, name=f"study-{number}").fit()
            if search.is_over:
                break
        self._session.disconnect()

    def forget_marker(self) -> None:
        """Delete what nodes looked for, however the run ends; called in the driver's thread."""
        if self._marker is not None and self._options.results is not None:
            from tune_metalr.ray_pool.host_store import forget_marker

            forget_marker(self._options.results, self._marker)

    def _check_cpus(self) -> None:
        """Refuse fewer CPUs of a running cluster than a trial takes, before it is joined.

        Raises:
            UserError: They are fewer.
        """
        most, needed = self._options.most_cpus, self._options.need["CPU"]
        if most is not None and most < needed and not self._session.is_private:
            raise UserError(f"--cpus {most} is less than the {needed:g} CPUs that a trial takes")

    def _results(self) -> "Results | None":
        """Start the way around for nodes that cannot see the results."""
        if self._session.is_private or self._options.results is None:
            return None
        from tune_metalr.ray_pool.host_store import MARKER, Results, start_host

        self._marker = secrets.token_hex(16).encode()
        self._options.results.write(MARKER, self._marker)
        return Results(self._options.results, self._marker, start_host(self._options.results))

    def _search(self, events: PoolEvents, cluster: "Cluster") -> "DealtSearch":
        from tune_metalr.ray_pool.tune_parts import DealtSearch

        def look(num_waiting: int) -> "Room":
            room = cluster.look(num_waiting)
            self.slots = room.slots
            return room

        return DealtSearch(events, look=look, most_trials=self._options.most_trials_of_a_fit)

    def _tuner(
        self, search: "DealtSearch", results: "Results | None", *, name: str
    ) -> "tune.Tuner":
        from ray import tune

        from tune_metalr.ray_pool.tune_parts import (
            TrialActor,
            WarmActors,
            hand_on_no_secrets,
            slot_resources,
            use_waiting_workers,
        )

        if self._session.is_private:
            use_waiting_workers()
        else:
            hand_on_no_secrets()
        trainable = tune.with_parameters(TrialActor, work=self._work, results=results)
        return tune.Tuner(
            tune.with_resources(
                trainable, functools.partial(slot_resources, need=dict(self._options.need))
            ),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=WarmActors(search),
                num_samples=-1,
                reuse_actors=self._options.reuse_actors,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(self._session.folder / "tune"),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
