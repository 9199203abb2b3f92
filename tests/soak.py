"""Random fault schedules against a cluster: no row may be lost, doubled or wrong.

Each schedule starts a cluster of two nodes and a study of 80 trials, and hurts them at random
moments: it kills the driver, a worker or a raylet, pauses a process for 15 seconds, fills the disk.
Whenever the run has ended, the same command is started again. Its seed decides all of it.

Run: python -m tests.soak [--schedules 10] [--seed SEED] [--events 5]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import tests.conftest  # noqa: F401 - sets what Ray reads when it is imported
from tests.cluster_runs import NUM_TRIALS, STUDY, ClusterRun, on_one_node, recorded
from tests.clusters import RayCluster, busy_workers
from tests.damage import Damage, damage, num_written_again

_DISK_BYTES = 64 * 2**20
_PAUSE_SECONDS = 15.0
_LONGEST_SECONDS = 900.0
_LONGEST_GAP_SECONDS = 12.0
_LONGEST_SEARCH_SECONDS = 40.0
_INSIDE = "TUNE_METALR_SOAK_INSIDE"


class Schedule:
    """One study on one cluster, hurt now and then until it is complete."""

    def __init__(self, seed: int, study: Path, folder: Path, *, num_events: int) -> None:
        self._rng = random.Random(seed)
        self._study = study
        self._folder = folder
        self._num_events = num_events
        self._cluster = RayCluster()
        self._raylets = [self._cluster.add_node(), self._cluster.add_node()]
        self._runs: list[ClusterRun] = []
        self._start()
        self.done: Counter[str] = Counter()
        """What was done to it."""

    def execute(self) -> None:
        """Hurt the run, start it again whenever it ends, and leave when it is complete."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        faults: list[Callable[[], bool]] = [
            self._kill_driver,
            self._kill_worker,
            self._kill_raylet,
            self._pause_a_process,
            self._fill_the_disk,
        ]
        order = self._rng.sample(faults, len(faults)) * self._num_events
        with self._cluster:
            for fault in order[: self._num_events]:
                self._wait(self._rng.uniform(1, _LONGEST_GAP_SECONDS))
                if self._is_complete:
                    break
                hit = fault()
                self.done[f"{fault.__name__.strip('_')}{'' if hit else ' (missed)'}"] += 1
            while not self._is_complete:
                assert time.monotonic() < deadline, f"not complete: {self._run.output()[-3000:]}"
                self._wait(1.0)

    @property
    def _is_complete(self) -> bool:
        return self._run.process.poll() == 0

    def written(self) -> dict[str, list[dict[str, Any]]]:
        """Return every row that any worker has written, by the name of its file."""
        return {name: rows for run in self._runs for name, rows in run.written.files().items()}

    @property
    def _run(self) -> ClusterRun:
        return self._runs[-1]

    def _start(self) -> None:
        self._runs.append(ClusterRun(self._cluster, self._study, self._folder))

    def _wait(self, seconds: float) -> None:
        """Let time pass; start the run again if it has ended with something left to do."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._is_complete:
            if self._run.process.poll() is not None:
                self._start()
            time.sleep(0.1)

    # Faults: each returns whether it hit something.

    def _kill_driver(self) -> bool:
        is_alive = self._run.process.poll() is None
        self._run.process.kill()
        return is_alive

    def _kill_worker(self) -> bool:
        with suppress(psutil.Error):
            if worker := self._worker(_LONGEST_SEARCH_SECONDS):
                worker.kill()
                return True
        return False

    def _kill_raylet(self) -> bool:
        raylet = self._raylets.pop(self._rng.randrange(len(self._raylets)))
        raylet.kill()
        self._raylets.append(self._cluster.add_node())
        return True

    def _pause_a_process(self) -> bool:
        with suppress(psutil.Error):
            driver = psutil.Process(self._run.process.pid)
            candidates = [driver, *self._raylets, *filter(None, [self._worker()])]
            victim = self._rng.choice(candidates)
            victim.suspend()
            time.sleep(_PAUSE_SECONDS)
            victim.resume()
            return True
        return False

    def _fill_the_disk(self) -> bool:
        ballast = self._folder / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**16))
        time.sleep(self._rng.uniform(1, 10))
        ballast.unlink()
        return True

    def _worker(self, seconds: float = 0.0) -> psutil.Process | None:
        """Choose a worker that runs a trial; wait for one, of a run that may have to be started."""
        deadline = time.monotonic() + seconds
        while True:
            found: list[psutil.Process] = []
            for raylet in self._raylets:
                with suppress(psutil.Error):
                    found += busy_workers(raylet)
            if found:
                return self._rng.choice(found)
            if time.monotonic() >= deadline or self._is_complete:
                return None
            self._wait(0.02)


def main(num_schedules: int, seed: int, num_events: int) -> int:
    study = Path(tempfile.mkdtemp(prefix="soak-")) / "small.yaml"
    study.write_text(STUDY)
    right = on_one_node(study, study.parent / "alone")
    total = Damage(0, 0, 0)
    for number in range(num_schedules):
        start = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix="results-"))
        disk = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "none", str(folder)]
        subprocess.run(disk, check=True)  # in a namespace of ours, see below
        schedule = Schedule(seed + number, study, folder, num_events=num_events)
        schedule.execute()
        found = recorded(folder / "small")
        written = schedule.written()
        here = damage(found, right, written)
        total = Damage(*(a + b for a, b in zip(total, here, strict=True)))
        print(
            f"seed {seed + number}: {dict(schedule.done)}; {len(found['trials'])} trials in "
            f"{time.monotonic() - start:.0f} s: {here.lost} lost, {here.doubled} doubled, "
            f"{here.wrong} wrong; {num_written_again(written)} written again",
            flush=True,
        )
    print(f"{num_schedules * NUM_TRIALS} trials: {total}")
    return int(any(total))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--events", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    if _INSIDE not in os.environ:  # disks to fill are mounted where nobody else sees them
        os.environ[_INSIDE] = "1"
        inside = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.soak"]
        os.execvp("unshare", [*inside, *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = _parsed()
    sys.exit(main(arguments.schedules, arguments.seed, arguments.events))
