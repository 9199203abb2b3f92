"""Whole runs from the command line: the same numbers always, and nothing lost when killed."""

import os
import subprocess
from pathlib import Path

import pytest

from analysis.load import load_trials
from tests.conftest import COMMAND, REPOSITORY, tune_metalr
from tune_metalr.ledger import Ledger
from tune_metalr.trial import COLUMNS

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
    report = results / "small" / "report"
    assert f"Look next: {report / 'index.html'}" in result.stdout
    assert (report / "report.md").exists()
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
    text = STUDY.replace("seeds: 4", "seeds: 1")
    short.write_text(f"purpose: development\n{text}")
    options = ("--results", tmp_path, "--cpus", "2")
    result = tune_metalr("run", short, *options)
    assert result.returncode == 0
    told = "Development: 4 of 4 recorded trials on digits-cnn were run while a method was"
    assert told in result.stdout
    short.write_text(text)  # what was run while designing stays what it was
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "small/trials").iterdir()}
    result = tune_metalr("run", short, *options)
    assert result.returncode == 0
    assert "to run" not in result.stdout
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "small/trials").iterdir()}
    trials = load_trials(tmp_path / "small")
    assert len(trials) == 4
    assert set(trials["role"]) == {"baseline"}
    assert set(trials["purpose"]) == {"development"}


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


def test_a_study_cut_short_by_the_clock_says_so_and_is_not_complete(tmp_path):
    study = tmp_path / "long.yaml"
    study.write_text(STUDY.replace("seeds: 4", "seeds: 400"))
    result = tune_metalr("run", study, "--results", tmp_path, "--cpus", "2", "--max-hours", "1e-3")
    assert result.returncode == 1
    assert "trials have no result. To go on: tune-metalr run" in result.stdout.replace("\n", " ")
    assert "Unfinished: " in (tmp_path / "small" / "report" / "report.md").read_text()


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
