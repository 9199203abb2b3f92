"""Runs a dealer's trials on the pool, and watches clock, progress and ledger meanwhile."""

import os
import threading
import time
import traceback
from typing import NamedTuple, NoReturn

from rich.console import Console

from tune_metalr.attempts import Attempts, read_attempts
from tune_metalr.checkpoints import Checkpoints
from tune_metalr.dealer import Dealer
from tune_metalr.errors import UserError, first_line
from tune_metalr.fork_server import ForkServer
from tune_metalr.idleness import Idleness
from tune_metalr.ledger import Ledger
from tune_metalr.progress import Progress
from tune_metalr.provenance import provenance, utc_now
from tune_metalr.ray_pool import (
    MAX_ATTEMPTS,
    Pool,
    PoolEvents,
    RaySession,
    SessionOptions,
    TrialWork,
)
from tune_metalr.signals import Interruption
from tune_metalr.storage import write_whole
from tune_metalr.trial import Status, failed_outcome, identity_columns
from tune_metalr.work_order import WorkOrder

_POLL_SECONDS = 0.1
_MAX_LOST_IN_A_ROW = 4
"""After so many trials without one that ended, the workers are to blame, not the trials."""

_COMPACT_EVERY = 256
"""Trials between two compactions."""


class DriverOptions(NamedTuple):
    """What the driver needs to know of the run and the study."""

    cpus: int | None
    """CPUs of a private cluster; `None` takes those that this process may use."""
    address: str | None
    max_hours: float | None
    threads_per_trial: int
    reuse_actors: bool
    fork_server: ForkServer | None
    interruption: Interruption | None


class Driver:
    """The driver's side of a run: Tune works in a thread, this one watches."""

    def __init__(
        self, ledger: Ledger, order: WorkOrder, options: DriverOptions, console: Console
    ) -> None:
        self._ledger = ledger
        self._order = order
        self._options = options
        self._console = console
        self._machine_error: str | None = None
        self._lost_in_a_row = 0
        self._pool_error: BaseException | None = None

    def run(self, dealer: Dealer) -> None:
        """Run trials until none is left or the time is up.

        Raises:
            UserError: The machine failed, for example with a full disk.
        """
        options = self._options
        session = RaySession(
            SessionOptions(
                cpus=options.cpus or available_cpus(),
                address=options.address,
                threads_per_trial=options.threads_per_trial,
                fork_server=options.fork_server,
            )
        )
        pool = Pool(
            session,
            TrialWork(self._order),
            threads_per_trial=options.threads_per_trial,
            reuse_actors=options.reuse_actors,
        )
        thread = threading.Thread(target=self._fit, args=(pool, dealer), daemon=True)
        with session:
            in_time = self._watch(thread, dealer, pool)
        if in_time and self._pool_error:
            self._raise_error(self._pool_error, "Ray Tune")

    def _watch(self, thread: threading.Thread, dealer: Dealer, pool: Pool) -> bool:
        """Wait for the pool's thread; return whether it ended before the time was up."""
        progress = Progress(dealer, self._console)
        idleness = Idleness()
        deadline = _deadline(self._options.max_hours)
        compacted = dealer.num_ended
        thread.start()
        with progress.shown():
            while thread.is_alive() and time.monotonic() < deadline:
                thread.join(_POLL_SECONDS)
                if self._options.interruption:
                    self._options.interruption.raise_again()
                progress.update()
                if pool.slots:
                    idleness.look(
                        _POLL_SECONDS,
                        slots=pool.slots,
                        running=dealer.num_running,
                        is_short_of_trials=dealer.is_short_of_trials,
                    )
                if dealer.num_ended - compacted >= _COMPACT_EVERY:
                    self._ledger.compact()
                    compacted = dealer.num_ended
                self._raise_errors(dealer)
        if self._options.interruption:
            self._options.interruption.listen()
        self._raise_errors(dealer)
        if advice := idleness.advice():
            self._console.print(advice, soft_wrap=True)
        return not thread.is_alive()

    def _fit(self, pool: Pool, dealer: Dealer) -> None:
        events = PoolEvents(
            deal=dealer.next,
            ended=lambda trial_id, status: self._hear_end(dealer, trial_id, status),
            lost=lambda trial_id, reason: self._record_lost(dealer, trial_id, reason),
            machine_error=self._hear_machine_error,
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
        details = self._ledger.root / "run-error.txt"
        write_whole(details, "".join(traceback.format_exception(error)).encode())
        raise UserError(
            f"{what} stopped with {type(error).__name__}: "
            f"{first_line(error, 'no reason given')} (details in {details}); "
            f"the same command goes on"
        ) from error

    def _hear_machine_error(self, reason: str) -> None:
        self._machine_error = reason

    def _record_lost(self, dealer: Dealer, trial_id: str, reason: str) -> None:
        """Record a trial whose worker was lost in every attempt; its checkpoint is kept."""
        if (recorded := self._ledger.result_of(trial_id)) is not None:
            dealer.ended(trial_id, recorded)  # the last worker was lost after its last write
            return
        item = dealer.wanted(trial_id)
        files = Checkpoints(self._ledger.unfinished).files(trial_id)
        attempts = read_attempts(files.attempts) or Attempts(MAX_ATTEMPTS, 0.0, utc_now(), 0.0)
        self._ledger.record(
            identity_columns(item.trial, item.method)
            | failed_outcome(f"its worker was lost {MAX_ATTEMPTS} times: {reason}")
            | attempts.columns()
            | provenance()
            | self._order.columns()
        )
        dealer.ended(trial_id, Status.FAILED)
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _MAX_LOST_IN_A_ROW:
            self._machine_error = (
                f"{self._lost_in_a_row} trials in a row lost their worker: {reason}"
            )

    def _hear_end(self, dealer: Dealer, trial_id: str, status: Status) -> None:
        dealer.ended(trial_id, status)
        self._lost_in_a_row = 0


def available_cpus() -> int:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _deadline(max_hours: float | None) -> float:
    return float("inf") if max_hours is None else time.monotonic() + max_hours * 3600
