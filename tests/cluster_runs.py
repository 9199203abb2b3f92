"""Studies on a cluster of several raylets: started, disturbed and compared."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tests.conftest import _OURS, COMMAND, tune_metalr
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.rows import PROPOSAL_COLUMNS, DamagedFileError
from tune_metalr.store import Location, below
from tune_metalr.trial import COLUMNS
from tune_metalr.trial_files import TrialFiles

STUDY = """\
name: small
workloads:
  - name: digits-cnn
    train_examples: 128
epochs: 12
seeds: 10
methods:
  sgd: {optimizer: sgd, lr: [1e-3, 1e-2, 1e6], momentum: 0.9, clip_norm: 1000}
  adam: {optimizer: adam, lr: 1e-3, schedule: cosine, warmup_fraction: 0.1}
searches:
  tuned:
    optimizer: sgd
    space: {lr: {log_uniform: [1e-4, 1]}, momentum: {uniform: [0, 0.95]}}
    samplers: [random, tpe]
    trials: 10
    batch: 5
"""
"""40 untuned trials, two searches of 10, and 10 runs of each search's winner."""

NUM_TRIALS = 80

_LOOK_SECONDS = 0.3

_TRIALS = [column.name for column in COLUMNS if column.reproducible]
_PROPOSALS = [column.name for column in PROPOSAL_COLUMNS if column.reproducible]


class Door(Protocol):
    """Where a cluster lets a driver, or a job, in."""

    address: str

    def environment(self) -> dict[str, str]: ...


class ClusterRun:
    """A run of a study on a cluster, as a user starts it."""

    def __init__(
        self,
        cluster: Door,
        study: Path | str,
        results: Location,
        *,
        checkpoint_seconds: float = 0,
        verb: str = "run",
        **environment: str,
    ) -> None:
        self.ledger = Ledger(below(results, "small"))
        clean = {name: value for name, value in os.environ.items() if name not in _OURS}
        self.environment = clean | cluster.environment() | environment | {"PYTHONUNBUFFERED": "1"}
        self.command = [
            *COMMAND, verb, str(study), "--results", str(results),
            "--address", cluster.address, "--checkpoint-seconds", str(checkpoint_seconds),
        ]  # fmt: skip
        self.start = time.monotonic()
        self.written = WrittenRows(self.ledger)
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        self.lines: list[tuple[float, str]] = []
        """What was printed, and when."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 200) -> float:
        """Wait while the run goes on; return how long it took."""
        start = time.monotonic()
        while not condition():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() - start < seconds, "it did not come to that"
            time.sleep(0.1)
        return time.monotonic() - start

    def num_ended(self) -> int:
        return len(self.ledger.statuses())

    def finish(self, *, seconds: float = 500) -> str:
        """Wait for the end; return what was printed."""
        self.process.wait(timeout=seconds)
        assert self.process.returncode == 0, self.output()
        return self.output()

    def output(self) -> str:
        """Return what was printed so far; all of it, once the run is over."""
        if self.process.poll() is not None:
            self._reader.join(10)
        return "".join(line for _, line in self.lines)

    def said(self, text: str) -> float | None:
        """Return when a line with a text was printed first."""
        return next((when for when, line in self.lines if text in line), None)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append((time.monotonic(), line))
        self.written.stop()


class WrittenRows:
    """Every row that a study's workers write, read as it comes.

    A reader sees one row per trial, and compaction keeps one: a second one, of an attempt that
    lived on, would go unseen.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._files = TrialFiles(ledger.store)
        self._rows: dict[str, list[dict[str, Any]]] = {}
        """By the name of the file."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def files(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows that were read so far, by the name of their file."""
        return dict(self._rows)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that were read so far."""
        return [row for rows in self.files().values() for row in rows]

    def stop(self) -> None:
        """Read what is there now, and no more."""
        self._over.set()
        self._thread.join()
        with suppress(OSError, UserError):
            self._look()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with suppress(OSError, UserError):  # there is nothing yet, or the service is away
                self._look()

    def _look(self) -> None:
        new = [name for name in self._files.names() if name not in self._rows]
        for name in new:
            with suppress(DamagedFileError, FileNotFoundError):
                self._rows[name] = self._files.read(name).to_pylist()


def recorded(results: Location) -> dict[str, list[dict[str, Any]]]:
    """Return what two runs of one study have in common: every reproducible column.

    Rows are those of all files, not the best one of each trial: what is there twice is told twice.
    """
    ledger = Ledger(results)
    files = TrialFiles(ledger.store)
    rows = [row for name in files.names() for row in files.read(name).to_pylist()]
    trials = sorted(map(reproducible, rows), key=lambda row: str(row["trial_id"]))
    return {"trials": trials, "proposals": ledger.proposals().select(_PROPOSALS).to_pylist()}


def reproducible(row: dict[str, Any]) -> dict[str, Any]:
    """Return what of a trial's row is the same in every run."""
    return {name: row[name] for name in _TRIALS}


def check(run: "ClusterRun", right: dict[str, list[dict[str, Any]]]) -> None:
    """Check that a run has every row once, and that none was ever written that is another."""
    assert recorded(run.ledger.store.location) == right
    theirs = {row["trial_id"]: row for row in right["trials"]}
    for row in run.written.rows():
        if row["status"] != "failed":
            assert reproducible(row) == theirs[row["trial_id"]]


_ALONE: dict[str, dict[str, list[dict[str, Any]]]] = {}
"""What studies came to, by their text: tests of several files compare with the same one."""


def on_one_node(study: Path, results: Path) -> dict[str, list[dict[str, Any]]]:
    """Run a study on this machine alone, undisturbed; once for all tests."""
    text = study.read_text()
    if text not in _ALONE:
        result = tune_metalr("run", study, "--results", results, "--cpus", "2", timeout=500)
        assert result.returncode == 0, result.stderr
        _ALONE[text] = recorded(results / "small")
    return _ALONE[text]
