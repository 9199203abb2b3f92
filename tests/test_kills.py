"""Runs that are killed, stopped or told to end: nothing is lost, and nothing is left behind."""

import io
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from analysis.load import load_trials
from tests.conftest import COMMAND, tune_metalr
from tests.test_run import REPRODUCIBLE, STUDY, rows
from tune_metalr.checkpoints import Checkpoints
from tune_metalr.ledger import Ledger
from tune_metalr.store import FolderStore
from tune_metalr.trial import Trial
from tune_metalr.work_order import WorkOrder
from tune_metalr.worker import run_trial

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def study(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)
    return path


class Killer:
    """Starts runs of a study and kills them."""

    def __init__(self, study: Path, results: Path) -> None:
        self.command = [
            *COMMAND, "run", str(study), "--results", str(results), "--cpus", "2",
            "--checkpoint-seconds", "0",
        ]  # fmt: skip
        self.folder = results / "small"

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment,
        )

    def recorded(self) -> set[str]:
        return set(Ledger(self.folder).statuses())

    def ends(self) -> dict[str, str]:
        """Return when each recorded trial ended."""
        table = Ledger(self.folder).trials(()).table
        ids, ends = table["trial_id"].to_pylist(), table["finished_utc"].to_pylist()
        return dict(zip(ids, ends, strict=True))

    def wait_for_a_new_row(self, process: subprocess.Popen[str]) -> None:
        before = self.recorded()
        while process.poll() is None and self.recorded() == before:
            time.sleep(0.05)


@pytest.mark.heavy
def test_nothing_is_lost_when_driver_and_workers_are_killed(tmp_path, places):
    """Five drivers and a worker are killed, each while trials are left to run."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    rng = random.Random(seed)
    study = tmp_path / "small.yaml"
    study.write_text(
        "name: small\nworkloads: [digits-cnn]\nepochs: 40\nseeds: 30\n"
        "methods: {sgd: {optimizer: sgd, lr: [1e-3, 1e-2], momentum: 0.9}}\n"
    )
    killer = Killer(study, tmp_path)
    finished: dict[str, str] = {}
    for kill in range(5):
        process = killer.start()
        if kill % 2:
            killer.wait_for_a_new_row(process)
        time.sleep(rng.uniform(0, 6))
        assert process.poll() is None, "the study was complete before it was killed"
        process.kill()
        process.communicate()
        ends = killer.ends()
        assert {trial: ends[trial] for trial in finished} == finished, "a finished trial ran again"
        finished = ends
    assert 0 < len(finished) < 60
    process = killer.start()
    # A new row alone says little: workers of the last driver outlive it for a moment.
    while process.poll() is None:
        time.sleep(0.1)
        with suppress(IndexError, psutil.Error):  # none yet, or not the one that it was
            trial_workers(process)[0].kill()
            break
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    trials = load_trials(killer.folder)
    assert len(trials) == 60
    assert set(trials["status"]) == {"completed"}
    ends = killer.ends()
    assert {trial: ends[trial] for trial in finished} == finished
    assert list((killer.folder / "unfinished").iterdir()) == []
    # What was begun more than once is what one uninterrupted run gives.
    resumed = trials[trials["attempts"] > 1]
    assert len(resumed)
    alone = Ledger(tmp_path / "alone")
    alone.create()
    order = WorkOrder(
        alone.store, places, checkpoint_seconds=1000, project_commit=None, import_folder=Path()
    )
    for definition in resumed["definition"][:4]:
        run_trial(Trial.from_json(definition), "alone", order)
    recorded = {row["trial_id"]: row for row in rows(killer.folder)}
    for row in alone.trials().table.select(REPRODUCIBLE).to_pylist():
        assert row == recorded[row["trial_id"]]


def trial_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            # So Ray calls a worker that trains; before and after a trial it has other names.
            if "ResourceTrainable" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_a_long_trial_goes_on_from_its_last_checkpoint(tmp_path):
    study = tmp_path / "long.yaml"
    study.write_text(
        "name: small\nworkloads: [digits-cnn]\nepochs: 400\nseeds: 1\n"
        "methods: {sgd: {optimizer: sgd, lr: 0.01}}\n"
    )
    killer = Killer(study, tmp_path)
    process = killer.start()
    unfinished = killer.folder / "unfinished"
    deadline = time.monotonic() + 120
    while not list(unfinished.glob("*.checkpoint")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    wait_until_quiet(unfinished)
    (path,) = unfinished.glob("*.checkpoint")
    state = Checkpoints(FolderStore(unfinished)).load(path.stem)
    record = torch.load(io.BytesIO(state), weights_only=True)["record"]
    result = tune_metalr(*killer.command[len(COMMAND) :], timeout=200)
    assert result.returncode == 0, result.stderr
    (trial,) = load_trials(killer.folder).to_dict("records")
    assert trial["attempts"] == 2
    assert trial["epochs_done"] == 400
    # The seconds of each epoch are unique: these epochs were not trained again.
    done = len(record["epoch_seconds"])
    assert 0 < done < 400
    assert list(trial["epoch_seconds"][:done]) == record["epoch_seconds"]
    assert trial["lost_seconds"] < 30


def wait_until_quiet(folder: Path) -> None:
    """Wait until the workers of a killed driver, which outlive it for a moment, are gone."""
    before = None
    while before != (before := {path: path.stat().st_mtime for path in folder.iterdir()}):
        time.sleep(2)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "start"),
        (signal.SIGTERM, "start"),
        (signal.SIGINT, "training"),
        (signal.SIGTERM, "training"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_signal_ends_the_run_at_once_and_leaves_nothing_behind(
    study, tmp_path, short_temporary_folder, number, moment
):
    study.write_text(STUDY.replace("seeds: 4", "seeds: 400"))  # not over when the signal comes
    killer = Killer(study, tmp_path)
    process = killer.start(TMPDIR=str(short_temporary_folder))
    if moment == "start":
        while not killer.folder.exists():
            time.sleep(0.02)
        time.sleep(random.uniform(0, 3))
    else:
        killer.wait_for_a_new_row(process)
    descendants = psutil.Process(process.pid).children(recursive=True)
    start = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - start < 5
    assert process.returncode == 128 + number
    lines = output.splitlines()
    assert lines[-1].startswith(f"Stopped. To go on: tune-metalr run {study}")
    assert "Traceback" not in output
    time.sleep(0.5)
    assert not [child for child in descendants if lives(child)]
    assert list(short_temporary_folder.iterdir()) == []


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
