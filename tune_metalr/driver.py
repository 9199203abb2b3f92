"""Runs a dealer's trials on the pool, and watches clock, progress and ledger meanwhile."""

import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, NoReturn

from rich.console import Console

from tune_metalr.attempts import Attempts, read_attempts
from tune_metalr.checkpoints import files_of
from tune_metalr.compaction import Compaction
from tune_metalr.dealer import Dealer
from tune_metalr.errors import UserError, first_line, without_secrets
from tune_metalr.fork_server import ForkServer
from tune_metalr.given_up import GivenUp
from tune_metalr.idleness import Idleness
from tune_metalr.ledger import Ledger
from tune_metalr.losses import MOST_KILLS, Cause, Loss, Losses
from tune_metalr.progress import Progress
from tune_metalr.provenance import provenance, utc_now
from tune_metalr.ray_pool import (
    Pool,
    PoolEvents,
    PoolOptions,
    RaySession,
    SessionOptions,
    TrialWork,
    Work,
)
from tune_metalr.signals import Interruption
from tune_metalr.trial import Status, WantedTrial, failed_outcome, identity_columns
from tune_metalr.work_order import WorkOrder

_POLL_SECONDS = 0.1

_MOST_TRIALS_OF_A_CPU = 8
"""More than one serves to try a study out; a typing error must not stall the machine."""


class DriverOptions(NamedTuple):
    """What the driver needs to know of the run and the study."""

    cpus: int | None
    """CPUs of a private cluster; `None` takes those that this process may use."""
    address: str | None
    max_hours: float | None
    threads_per_trial: int
    need: Mapping[str, float]
    """What a trial takes of a node, by Ray's name of the resource."""
    reuse_actors: bool
    fork_server: ForkServer | None
    interruption: Interruption | None
    check_lock: Callable[[], None] = lambda: None
    """Raises a `UserError` once another run has taken the results over."""


class Driver:
    """The driver's side of a run: Tune works in a thread, this one watches."""

    def __init__(
        self,
        ledger: Ledger,
        order: WorkOrder,
        options: DriverOptions,
        console: Console,
        *,
        work: Work | None = None,
    ) -> None:
        """Take what a run consists of; nothing is started yet.

        Args:
            ledger: Where results belong, whose lock is held.
            order: What workers are told.
            options: What else is known of the run.
            console: Where progress is shown.
            work: What a worker does of a trial; `None` runs it.
        """
        self._ledger = ledger
        self._order = order
        self._options = options
        self._console = console
        self._work = work or TrialWork(order)
        self._machine_error: str | None = None
        self._losses = Losses()
        self._given_up = GivenUp(has_results=False)
        self._unseen_from: set[str] = set()
        self._pool_error: BaseException | None = None

    def run(self, dealer: Dealer) -> None:
        """Run trials until none is left or the time is up.

        Raises:
            UserError: The machine failed, for example with a full disk.
        """
        options = self._options
        self._given_up = GivenUp(has_results=dealer.has_earlier_results)
        session = RaySession(
            SessionOptions(
                cpus=options.cpus or available_cpus(),
                address=options.address,
                threads_per_trial=options.threads_per_trial,
                cpus_per_trial=options.need["CPU"],
                has_gpus="GPU" in options.need,
                fork_server=options.fork_server,
            )
        )
        pool = Pool(
            session,
            self._work,
            PoolOptions(
                need=options.need,
                most_cpus=options.cpus,
                results=self._order.results,
                reuse_actors=options.reuse_actors,
            ),
        )
        thread = threading.Thread(target=self._fit, args=(pool, dealer), daemon=True)
        try:
            with session:
                in_time = self._watch(thread, dealer, pool, session)
        finally:
            pool.forget_marker()
        if in_time and self._pool_error:
            self._raise_error(self._pool_error, "Ray Tune")

    def _watch(
        self, thread: threading.Thread, dealer: Dealer, pool: Pool, session: RaySession
    ) -> bool:
        """Wait for the pool's thread; return whether it ended before the time was up."""
        progress = Progress(dealer, self._losses, self._console)
        idleness = Idleness()
        deadline = _deadline(self._options.max_hours)
        compaction = Compaction(self._ledger, dealer.num_ended)
        thread.start()
        with progress.shown():
            while thread.is_alive() and time.monotonic() < deadline:
                thread.join(_POLL_SECONDS)
                if self._options.interruption:
                    self._options.interruption.raise_again()
                session.check_head()
                self._options.check_lock()
                progress.update()
                if pool.slots:
                    idleness.look(
                        _POLL_SECONDS,
                        slots=pool.slots,
                        running=dealer.num_running,
                        is_short_of_trials=dealer.is_short_of_trials,
                    )
                compaction.look(dealer.num_ended)
                self._raise_errors(dealer)
        if self._options.interruption:
            self._options.interruption.listen()
        self._raise_errors(dealer)
        compaction.finish()
        if advice := idleness.advice():
            self._console.print(advice, soft_wrap=True)
        return not thread.is_alive()

    def _fit(self, pool: Pool, dealer: Dealer) -> None:
        events = PoolEvents(
            deal=dealer.next,
            ended=lambda trial_id, status: self._hear_end(dealer, trial_id, status),
            lost=lambda trial_id, loss: self._hear_loss(dealer, trial_id, loss),
            again=dealer.again,
            machine_error=self._hear_machine_error,
            unseen=self._hear_unseen,
            num_waiting=lambda: dealer.num_waiting,
            say=lambda text: self._console.print(text, soft_wrap=True, markup=False),
        )
        try:
            pool.run(events)
        except BaseException as error:  # handed to the watching thread
            self._pool_error = error

    def _raise_errors(self, dealer: Dealer) -> None:
        if self._machine_error:
            raise UserError(f"{self._machine_error}; put it right and run the same command again")
        if dealer.error:
            self._raise_error(dealer.error, "A search")

    def _raise_error(self, error: BaseException, what: str) -> NoReturn:
        if isinstance(error, UserError):
            raise error
        details = f"{self._ledger.location}/run-error.txt"
        with suppress(OSError):  # the storage may be what has failed
            text = without_secrets("".join(traceback.format_exception(error)))
            self._ledger.store.write("run-error.txt", text.encode())
        raise UserError(
            f"{what} stopped with {type(error).__name__}: "
            f"{without_secrets(first_line(error, 'no reason given'))} (details in {details}); "
            f"the same command goes on"
        ) from error

    def _hear_machine_error(self, reason: str) -> None:
        self._machine_error = reason

    def _hear_unseen(self, node: str) -> None:
        """Say once for each node that it cannot see the results."""
        if node not in self._unseen_from:
            self._unseen_from.add(node)
            self._console.print(
                f"Node {node} cannot see {self._ledger.location}: its results go through this one.",
                soft_wrap=True,
            )

    def _hear_loss(self, dealer: Dealer, trial_id: str, loss: Loss) -> None:
        """Have a trial tried again, or record that it was given up; its checkpoint is kept."""
        if (recorded := self._ledger.result_of(trial_id)) is not None:
            self._hear_end(dealer, trial_id, recorded)  # lost after its last write
            return
        if loss.cause is Cause.START:
            dealer.again(trial_id)
            self._machine_error = (
                f"a worker could not start: {loss.detail}: all nodes need the same version of this "
                f"project and of its packages"
            )
            return
        reason = self._losses.hear(trial_id, loss)
        item = dealer.wanted(trial_id)
        name = f"{item.method}, seed {item.trial.seed} (trial {trial_id})"
        if reason is None:
            dealer.again(trial_id)
            self._console.print(f"Lost: {loss.cause}; again: {name}", soft_wrap=True, markup=False)
            return
        self._console.print(f"Given up: {name}: {reason}", soft_wrap=True, markup=False)
        self._record_failure(item, reason)
        dealer.ended(trial_id, Status.FAILED)
        if why := self._given_up.hear(has_failed_before=dealer.has_failed_before(trial_id)):
            self._machine_error = f"{why}: {reason}"

    def _record_failure(self, item: WantedTrial, reason: str) -> None:
        trial_id = item.trial.trial_id
        found = read_attempts(self._ledger.unfinished, files_of(trial_id).attempts)
        attempts = (found or Attempts(MOST_KILLS, 0.0, utc_now())).after_a_loss()
        self._ledger.record(
            identity_columns(item.trial, item.method)
            | failed_outcome(reason)
            | attempts.columns()
            | provenance()
            | self._order.columns()
        )

    def _hear_end(self, dealer: Dealer, trial_id: str, status: Status) -> None:
        dealer.ended(trial_id, status)
        self._given_up.hear_end()


def available_cpus() -> int:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_cpus(wanted: int | None) -> None:
    """Check that this machine can bear so many trials at a time.

    Raises:
        UserError: It would do little but change between them.
    """
    most = _MOST_TRIALS_OF_A_CPU * available_cpus()
    if wanted is not None and wanted > most:
        raise UserError(
            f"--cpus {wanted}: this machine has {available_cpus()}; give at most {most}, or leave "
            f"the option out to use all"
        )


def _deadline(max_hours: float | None) -> float:
    return float("inf") if max_hours is None else time.monotonic() + max_hours * 3600
