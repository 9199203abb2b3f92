"""What the driver of a run spends on a trial of a cluster: time and memory.

It is the real driver with all that it does, as if somebody followed the run; trials only write
their rows. Raylets on this machine, of one CPU each, stand for nodes.

Run: python -m tests.benchmarks.cluster_overhead [TRIALS] [NODES]. It ends with 1 above the limits.
"""

import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console

import tests.conftest  # noqa: F401 - sets what Ray reads when it is imported
from tests.benchmarks.driver_overhead import empty_trials
from tests.clusters import RayCluster
from tune_metalr.dealer import Dealer, Idle
from tune_metalr.driver import Driver, DriverOptions
from tune_metalr.ledger import Ledger
from tune_metalr.provenance import provenance, utc_now
from tune_metalr.store import FolderStore, Store
from tune_metalr.submitted import job_environment
from tune_metalr.trial import Status, Trial, identity_columns
from tune_metalr.work_order import WorkOrder
from tune_metalr.workloads.places import DataPlaces

_MOST_MS = 30.0
"""Of the driver's processor, for one trial."""

_MOST_KB = 50.0


class Mark(NamedTuple):
    """The driver at some moment."""

    wall: float
    cpu: float
    memory_bytes: int


class MarkingDealer(Dealer):
    """Notes how the driver stands after a tenth of the trials, and after all."""

    def __init__(self, num_trials: int) -> None:
        super().__init__(empty_trials(num_trials), {})
        self._marked = (num_trials // 10, num_trials)
        self.marks: list[Mark] = []

    def ended(self, trial_id: str, status: Status) -> None:
        super().ended(trial_id, status)
        if self.num_ended in self._marked:
            self.marks.append(_mark())


def write_a_row(trial_json: str, method: str, results: Store | None) -> Status:
    """Do all of a trial but the training."""
    assert results is not None
    outcome = {"status": Status.COMPLETED, "validation_accuracy": 0.5, "finished_utc": utc_now()}
    row = identity_columns(Trial.from_json(trial_json), method) | outcome | provenance()
    Ledger(results).record(row)
    return Status.COMPLETED


def main(num_trials: int, num_nodes: int) -> int:
    os.environ |= job_environment([])
    dealer = MarkingDealer(num_trials)
    with tempfile.TemporaryDirectory() as folder, RayCluster() as cluster:
        for _ in range(num_nodes):
            cluster.add_node(cpus=1)
        os.environ |= cluster.environment()
        ledger = Ledger(FolderStore(Path(folder)))
        ledger.create()
        _driver(ledger, cluster.address).run(dealer)
        assert len(ledger.statuses()) == num_trials
    assert dealer.next() is Idle.OVER
    first, last = dealer.marks
    count = num_trials - num_trials // 10
    wall_ms, cpu_ms = (1e3 * (last[part] - first[part]) / count for part in (0, 1))
    memory_kb = (last.memory_bytes - first.memory_bytes) / count / 1e3
    print(
        f"{num_trials} trials on {num_nodes} nodes: {wall_ms:.1f} ms wall, {cpu_ms:.1f} ms driver "
        f"CPU, {memory_kb:.1f} kB driver memory per trial"
    )
    return int(cpu_ms > _MOST_MS or memory_kb > _MOST_KB)


def _driver(ledger: Ledger, address: str) -> Driver:
    order = WorkOrder(
        results=ledger.store,
        places=DataPlaces(Path(tempfile.gettempdir())),
        checkpoint_seconds=60,
        project_commit=None,
        import_folder=Path.cwd(),
    )
    options = DriverOptions(
        cpus=None,
        address=address,
        max_hours=None,
        threads_per_trial=1,
        need={"CPU": 1},
        reuse_actors=True,
        fork_server=None,
        interruption=None,
    )
    return Driver(ledger, order, options, Console(file=io.StringIO()), work=write_a_row)


def _mark() -> Mark:
    process = psutil.Process()
    return Mark(time.perf_counter(), time.process_time(), process.memory_info().rss)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:3]]
    sys.exit(main(*arguments) if len(arguments) == 2 else main(5000, 3))
