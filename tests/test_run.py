"""Whole runs from the command line: the same numbers always, and nothing lost when killed."""

import io
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from analysis.load import load_trials
from tests.conftest import COMMAND, REPOSITORY, tune_metalr
from tune_metalr.checkpoints import Checkpoints
from tune_metalr.ledger import Ledger
from tune_metalr.trial import COLUMNS, Trial
from tune_metalr.work_order import WorkOrder
from tune_metalr.worker import run_trial

pytestmark = pytest.mark.timeout(400)

REPRODUCIBLE = [column.name for column in COLUMNS if column.reproducible]
STUDY = """\
name: small
workloads:
  - name: digits-cnn
    train_examples: 128
epochs: 2
seeds: 4
methods:
  sgd: {optimizer: sgd, lr: [1e-2, 1e6], momentum: 0.9, clip_norm: 1000}
  adam: {optimizer: adam, lr: 1e-3, schedule: cosine, warmup_fraction: 0.1}
  long: {optimizer: rmsprop, lr: 1e-3}
"""


def rows(folder: Path) -> list[dict[str, object]]:
    """Return the reproducible columns of the trials that the study wants."""
    ledger = Ledger(folder)
    wanted = set(ledger.wanted()["trial_id"].to_pylist())
    table = ledger.trials().table.select(REPRODUCIBLE).to_pylist()
    found = [row for row in table if row["trial_id"] in wanted]
    assert len(found) == len(wanted)
    return sorted(found, key=lambda row: row["trial_id"])


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory) -> list[dict[str, object]]:
    """The study run without interruption on two CPUs."""
    results = tmp_path_factory.mktemp("whole")
    result = tune_metalr("run", study, "--results", results, "--cpus", "2")
    assert result.returncode == 0, result.stderr
    assert "16 of 16 trials to run" in result.stdout
    assert "0 running, 4 diverged, 0 failed" in result.stdout
    return rows(results / "small")


def test_one_cpu_gives_the_same_numbers_as_two(study, whole, tmp_path):
    result = tune_metalr("run", study, "--results", tmp_path, "--cpus", "1")
    assert result.returncode == 0, result.stderr
    assert rows(tmp_path / "small") == whole
    assert sum(row["status"] == "diverged" for row in whole) == 4


def test_fresh_actors_give_the_same_numbers_as_warm_ones(study, whole, tmp_path):
    code = (
        "import sys; from pathlib import Path; from rich.console import Console;"
        "from tune_metalr.runner import RunOptions, run_study;"
        "o = RunOptions(Path(sys.argv[2]), ['x'], cpus=2, reuse_actors=False);"
        "sys.exit(run_study(Path(sys.argv[1]), o, Console()).exit_code)"
    )
    short = study.with_name("short.yaml")
    short.write_text(STUDY.replace("seeds: 4", "seeds: 1"))
    command = [COMMAND[0], "-c", code, str(short), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stderr
    assert rows(tmp_path / "small") == [row for row in whole if row["seed"] == 0]


def test_running_a_complete_study_again_runs_nothing(study, whole, tmp_path):
    short = study.with_name("once.yaml")
    short.write_text(STUDY.replace("seeds: 4", "seeds: 1"))
    options = ("--results", tmp_path, "--cpus", "2")
    assert tune_metalr("run", short, *options).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "small/trials").iterdir()}
    result = tune_metalr("run", short, *options)
    assert result.returncode == 0
    assert "to run" not in result.stdout
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "small/trials").iterdir()}
    trials = load_trials(tmp_path / "small")
    assert len(trials) == 4
    assert set(trials["role"]) == {"baseline"}


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
        "name: small\nworkloads: [digits-cnn]\nepochs: 12\nseeds: 30\n"
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
    while not (workers := trial_workers(process)) and process.poll() is None:
        time.sleep(0.1)
    time.sleep(1)
    workers[0].kill()
    output, _ = process.communicate(timeout=300)
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
        alone.root, places, checkpoint_seconds=1000, project_commit=None, import_folder=Path()
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
            if "TrialActor" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_a_long_trial_goes_on_from_its_last_checkpoint(tmp_path):
    study = tmp_path / "long.yaml"
    study.write_text(
        "name: small\nworkloads: [digits-cnn]\nepochs: 50\nseeds: 1\n"
        "methods: {sgd: {optimizer: sgd, lr: 0.01}}\n"
    )
    killer = Killer(study, tmp_path)
    process = killer.start()
    unfinished = killer.folder / "unfinished"
    deadline = time.monotonic() + 120
    while not list(unfinished.glob("*.checkpoint")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.communicate()
    wait_until_quiet(unfinished)
    (path,) = unfinished.glob("*.checkpoint")
    state = Checkpoints(unfinished).load(path.stem)
    record = torch.load(io.BytesIO(state), weights_only=True)["record"]
    result = tune_metalr(*killer.command[len(COMMAND) :], timeout=200)
    assert result.returncode == 0, result.stderr
    (trial,) = load_trials(killer.folder).to_dict("records")
    assert trial["attempts"] == 2
    assert trial["epochs_done"] == 50
    # The seconds of each epoch are unique: these epochs were not trained again.
    done = len(record["epoch_seconds"])
    assert 0 < done < 50
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


@pytest.fixture
def short_temporary_folder() -> Iterator[Path]:
    """A folder of its own for one run; Ray's sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.mark.heavy
def test_torn_and_foreign_files_are_set_aside_and_their_trials_run_again(study, tmp_path):
    short = study.with_name("torn.yaml")
    short.write_text(STUDY.replace("seeds: 4", "seeds: 1"))
    options = ("--results", tmp_path, "--cpus", "2")
    assert tune_metalr("run", short, *options).returncode == 0
    folder = tmp_path / "small"
    before = rows(folder)
    (segment,) = (folder / "trials").iterdir()
    segment.write_bytes(segment.read_bytes()[:-100])
    (folder / "trials" / "notes.txt").write_text("mine")
    result = tune_metalr("run", short, *options)
    assert result.returncode == 0, result.stderr
    assert segment.name in result.stdout
    assert "notes.txt" in result.stdout
    assert sorted(p.name for p in (folder / "set-aside").iterdir()) == sorted(
        [segment.name, "notes.txt"]
    )
    assert rows(folder) == before


def test_a_study_cut_short_by_the_clock_says_so_and_is_not_complete(study, tmp_path):
    result = tune_metalr("run", study, "--results", tmp_path, "--cpus", "2", "--max-hours", "0.001")
    assert result.returncode == 1
    assert "trials have no result. To go on: tune-metalr run" in result.stdout.replace("\n", " ")


def test_a_run_writes_only_where_it_may(study, tmp_path, short_temporary_folder):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    short = study.with_name("home.yaml")
    short.write_text(STUDY.replace("seeds: 4", "seeds: 1"))
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(short_temporary_folder)}
    environment.pop("TUNE_METALR_CACHE")
    environment["XDG_CACHE_HOME"] = "/proc/nowhere"
    working = tmp_path / "working"
    working.mkdir()
    command = [*COMMAND, "run", str(short), "--results", str(tmp_path / "results")]
    environment["PYTHONPATH"] = str(REPOSITORY)
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment,
        cwd=working,
    )
    assert result.returncode == 0, result.stderr
    assert list(home.rglob("*")) == []
    assert list(short_temporary_folder.iterdir()) == []
    assert list(working.iterdir()) == []
    assert (tmp_path / "results" / ".data-cache").is_dir()


def test_the_real_mnist_is_learned(mirror, tmp_path):
    study = tmp_path / "mnist.yaml"
    study.write_text(
        "name: mnist\nworkloads: [{name: mnist-cnn, train_examples: 10000}]\nepochs: 3\nseeds: 2\n"
        "methods: {adam: {optimizer: adam, lr: 1e-3}}\n"
    )
    result = tune_metalr(
        "run", study, "--results", tmp_path, "--data-dir", mirror, "--cpus", "2", timeout=300
    )
    assert result.returncode == 0, result.stderr
    trials = load_trials(tmp_path / "mnist")
    assert trials["test_accuracy"].min() > 0.97
    assert list(trials["steps"]) == [471, 471]


def test_searches_are_refused_before_anything_is_run(study, tmp_path):
    text = (
        STUDY
        + "searches: {s: {optimizer: sgd, space: {lr: {uniform: [0, 1]}}, samplers: tpe, trials: 8}}\n"
    )
    path = tmp_path / "searches.yaml"
    path.write_text(text)
    result = tune_metalr("run", path, "--results", tmp_path / "results")
    assert result.returncode == 2
    assert "searches are not run by this version" in result.stderr
    assert not (tmp_path / "results").exists()
