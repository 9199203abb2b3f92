"""The pool on a real, private Ray cluster, with trials that train nothing."""

import os
import threading
import time
from collections import Counter, deque
from pathlib import Path

import psutil
import pytest

from tests.test_dealer import wanted
from tune_metalr.dealer import Dealer, Idle
from tune_metalr.losses import Cause, Losses
from tune_metalr.ray_pool import Pool, PoolEvents, PoolOptions, RaySession, SessionOptions
from tune_metalr.trial import Status, Trial

pytestmark = [
    pytest.mark.timeout(180),
    # Ray's own, from its imports and its shut-down.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning"),
]


class Note:
    """Work that notes which process did it."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds

    def __call__(self, trial_json: str, method: str, results: object) -> Status:
        (self.folder / str(os.getpid())).touch()
        time.sleep(self.seconds)
        return Status.COMPLETED


class KillFirst(Note):
    """Work that kills its process: the first time, or for one seed every time."""

    def __call__(self, trial_json: str, method: str, results: object) -> Status:
        seed = Trial.from_json(trial_json).seed
        if seed == 1 or not any(self.folder.iterdir()):
            (self.folder / "killed").touch()
            os._exit(1)
        return super().__call__(trial_json, method, results)


class Relatives(Note):
    """Work that notes its parent and the processes of the driver."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 0)
        self.driver = os.getpid()
        self.strangers = {p.pid for p in psutil.Process().children(recursive=True)}

    def __call__(self, trial_json: str, method: str, results: object) -> Status:
        (self.folder / "parent").write_text(" ".join(psutil.Process().parent().cmdline()))
        family = psutil.Process(self.driver).children(recursive=True)
        ours = [p for p in family if p.pid not in self.strangers]
        (self.folder / "family").write_text("\n".join(" ".join(p.cmdline()) for p in ours))
        return Status.COMPLETED


class FullDisk(Note):
    def __call__(self, trial_json: str, method: str, results: object) -> Status:
        raise OSError(28, "No space left on device")


def run(work, events, *, cpus=2, **options):
    errors = []

    def target():
        try:
            pool.run(events)
        except BaseException as error:
            errors.append(error)

    with RaySession(SessionOptions(cpus, None, 1)) as session:
        pool = Pool(session, work, PoolOptions(need={"CPU": 1}, **options))
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        folder = session.folder
    assert errors == []
    assert not folder.exists()


def unexpected(*args):
    raise AssertionError(args)


class BatchDealer:
    """Deals a batch only when the one before it has ended: a barrier."""

    def __init__(self, trials, size):
        self.waiting = deque(trials)
        self.size = size
        self.batch = deque()
        self.running = set()

    def next(self):
        if not self.batch and not self.running:
            self.batch.extend(
                self.waiting.popleft() for _ in range(min(self.size, len(self.waiting)))
            )
        if self.batch:
            item = self.batch.popleft()
            self.running.add(item.trial.trial_id)
            return item
        return Idle.WAIT if self.running or self.waiting else Idle.OVER

    def ended(self, trial_id, status):
        self.running.remove(trial_id)


def test_no_more_processes_than_cpus_across_batch_barriers(tmp_path):
    before = set(psutil.Process().children(recursive=True))
    dealer = BatchDealer(wanted(10), size=5)
    run(
        Note(tmp_path, 0.3),
        PoolEvents(dealer.next, dealer.ended, unexpected, unexpected, unexpected),
    )
    assert not dealer.waiting
    assert len(list(tmp_path.iterdir())) == 2
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_long_study_takes_several_fits(tmp_path):
    dealer = Dealer(wanted(9, methods=("a",)), {})
    run(
        Note(tmp_path, 0.0),
        PoolEvents(dealer.next, dealer.ended, unexpected, unexpected, unexpected),
        cpus=1,
        most_trials_of_a_fit=4,
    )
    assert dealer.num_ended == 9
    assert len(list(tmp_path.iterdir())) == 3


def test_a_lost_worker_is_replaced_and_a_hopeless_trial_given_up(tmp_path):
    dealer = Dealer(wanted(6, methods=("a",)), {})
    losses = Losses()
    given_up = []

    def hear(trial_id, loss):
        if (reason := losses.hear(trial_id, loss)) is None:
            dealer.again(trial_id)
            return
        given_up.append((dealer.wanted(trial_id).trial.seed, reason))
        dealer.ended(trial_id, Status.FAILED)

    run(
        KillFirst(tmp_path, 0.05),
        PoolEvents(dealer.next, dealer.ended, hear, unexpected, unexpected),
    )
    assert dealer.num_ended == 6
    ((seed, reason),) = given_up
    assert seed == 1
    assert reason.startswith("its worker was lost 3 times: ")
    assert losses.count == {Cause.WORKER: losses.count[Cause.WORKER]}


def test_an_error_of_the_machine_is_told_as_such(tmp_path):
    dealer = Dealer(wanted(1, methods=("a",)), {})
    errors = []
    run(
        FullDisk(tmp_path, 0),
        PoolEvents(dealer.next, dealer.ended, unexpected, unexpected, errors.append),
    )
    assert errors == ["[Errno 28] No space left on device"]
    assert dealer.num_ended == 0


def test_ray_starts_no_more_than_it_needs(tmp_path):
    """Pins what `local_cluster` and `fork_server` know of Ray: each process costs a second."""
    dealer = Dealer(wanted(1, methods=("a",)), {})
    run(
        Relatives(tmp_path),
        PoolEvents(dealer.next, dealer.ended, unexpected, unexpected, unexpected),
    )
    assert "tune_metalr.fork_server" in (tmp_path / "parent").read_text()
    lines = (tmp_path / "family").read_text().splitlines()
    # A worker that is asked for lives for a moment beside the one that is forked.
    found = Counter(kind(line) for line in lines)
    del found["asking worker"]
    assert found == {"gcs_server": 1, "raylet": 1, "sh": 2, "fork_server": 1, "worker": 1}


def kind(command):
    if "fork_server" in command:
        return "fork_server"
    program, first = (*command.split(), "")[:2]
    if first.endswith("forked_worker.py"):
        return "asking worker"
    return "worker" if program.startswith("ray::") else Path(program).name
