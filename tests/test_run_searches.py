"""Whole runs with searches from the command line: the same on any CPUs, and after any kill."""

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from analysis.load import load_searches, load_trials
from tests.conftest import COMMAND, REPOSITORY, tune_metalr
from tests.test_run import REPRODUCIBLE
from tune_metalr.ledger import Ledger

pytestmark = pytest.mark.timeout(500)

STUDY = """\
name: small
workloads:
  - name: digits-cnn
    train_examples: 128
epochs: 3
seeds: 2
methods:
  adam: {optimizer: adam, lr: 1e-3}
searches:
  wide:
    optimizer: sgd
    momentum: 0.9
    space:
      lr: {log_uniform: [1e-4, 100]}
      schedule: {choice: [constant, cosine]}
    samplers: [random, tpe]
    trials: 14
    batch: 4
    pruner: median
    finals: 2
"""
TRIALS = 2 * 14
WINNERS = 2 * 2 * 2


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


def run(
    study: Path, results: Path, *, cpus: int = 2, timeout: float = 200
) -> subprocess.CompletedProcess[str]:
    return tune_metalr("run", study, "--results", results, "--cpus", str(cpus), timeout=timeout)


def content(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all that must be the same: proposals, outcomes, what is wanted."""
    ledger = Ledger(folder)
    outcomes = ledger.trials().table.select(REPRODUCIBLE).to_pylist()
    return {
        "proposals": ledger.proposals().to_pylist(),
        "outcomes": sorted(outcomes, key=lambda row: row["trial_id"]),
        "wanted": ledger.wanted().to_pylist(),  # in the study's order, whichever search ends first
    }


def files(folder: Path) -> dict[Path, int]:
    """Return when each file of results was written."""
    return {
        path: path.stat().st_mtime_ns
        for part in ("trials", "proposals")
        for path in (folder / part).iterdir()
    }


@pytest.fixture(scope="module")
def whole_folder(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study run without interruption on two CPUs."""
    results = tmp_path_factory.mktemp("whole")
    result = run(study, results)
    assert result.returncode == 0, result.stderr
    assert f"{2 + TRIALS + WINNERS} of {2 + TRIALS + WINNERS} trials ended" in result.stdout
    return results / "small"


@pytest.fixture(scope="module")
def whole(whole_folder: Path) -> dict[str, list[dict[str, Any]]]:
    return content(whole_folder)


def test_a_run_with_searches_ends_with_winners_on_the_studys_seeds(whole_folder: Path) -> None:
    searches, trials = load_searches(whole_folder), load_trials(whole_folder)
    assert Counter(searches["sampler"]) == {"random": 14, "tpe": 14}
    # Else the comparisons below would say little.
    assert {"completed", "diverged", "pruned"} <= set(searches["status"])
    assert set(searches["state"]) == {"COMPLETE", "PRUNED"}
    finals = trials[trials["role"] == "final"]
    assert len(finals) == WINNERS
    assert list(finals["method"].unique()) == [
        f"wide {sampler} median #0.{rank}" for sampler in ("random", "tpe") for rank in (1, 2)
    ]
    assert set(finals["seed"]) == {0, 1}
    assert not set(finals["seed"]) & set(searches["seed"])
    for _, search in searches.groupby("search_id"):
        best = search.loc[search["validation_accuracy"].idxmax(), "hyperparameters"]
        assert best in set(finals["hyperparameters"])


@pytest.mark.parametrize("cpus", [1, pytest.param(4, marks=pytest.mark.heavy)])
def test_proposals_and_outcomes_are_the_same_on_any_number_of_cpus(
    study, whole, tmp_path, cpus
) -> None:
    result = run(study, tmp_path, cpus=cpus)
    assert result.returncode == 0, result.stderr
    assert content(tmp_path / "small") == whole


def test_running_a_complete_study_again_changes_nothing(study, whole_folder, whole) -> None:
    before = files(whole_folder)
    result = run(study, whole_folder.parent)
    assert result.returncode == 0, result.stderr
    assert "to run" not in result.stdout
    assert files(whole_folder) == before
    assert content(whole_folder) == whole


class Interrupted:
    """Runs of a study that are killed before they are through."""

    def __init__(self, study: Path, results: Path) -> None:
        self._command = [
            *COMMAND, "run", str(study), "--results", str(results), "--cpus", "2",
            "--checkpoint-seconds", "0",
        ]  # fmt: skip
        self.folder = results / "small"

    def num_ended(self) -> int:
        return len(Ledger(self.folder).statuses()) if self.folder.exists() else 0

    def kill_in_the_middle(self, rng: random.Random) -> bool:
        """Kill a run some time after its first new outcome; return whether it was not through."""
        before = self.num_ended()
        process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and self.num_ended() == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


@pytest.mark.heavy
def test_runs_that_are_killed_at_random_moments_end_as_if_they_had_not_been(
    study, whole, tmp_path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    rng = random.Random(seed)
    killed = Interrupted(study, tmp_path)
    kills = sum(killed.kill_in_the_middle(rng) for _ in range(6))
    assert kills >= 2
    result = run(study, tmp_path)
    assert result.returncode == 0, result.stderr
    assert content(tmp_path / "small") == whole


@pytest.mark.heavy
def test_a_search_that_grows_runs_the_new_trials_alone(study, whole, tmp_path) -> None:
    short = study.with_name("short.yaml")
    short.write_text(STUDY.replace("trials: 14", "trials: 8"))
    assert run(short, tmp_path).returncode == 0
    folder = tmp_path / "small"
    before = content(folder)["outcomes"]
    assert run(study, tmp_path).returncode == 0
    after = content(folder)
    assert after["proposals"] == whole["proposals"]
    assert after["wanted"] == whole["wanted"]
    assert all(row in after["outcomes"] for row in before)
    # Back again: nothing is run, and the shorter search is what it was.
    assert "to run" not in run(short, tmp_path).stdout
    assert len(load_searches(folder)) == 2 * 8


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("[1e-4, 100]", "[1e-4, 10]"), "space"),
        (("batch: 4", "batch: 5"), "batch"),
        (("epochs: 3", "epochs: 4"), "epochs"),
    ],
)
def test_a_search_that_was_changed_under_its_old_name_is_refused(
    study, whole_folder, whole, change, what
) -> None:
    changed = study.with_name("changed.yaml")
    changed.write_text(STUDY.replace(*change))
    result = run(changed, whole_folder.parent)
    assert result.returncode == 2
    (line,) = result.stderr.replace("\n", " ").strip().split("\n")
    assert f"search 'wide' was begun with another {what};" in line
    assert "Traceback" not in result.stderr
    assert content(whole_folder) == whole
    assert (whole_folder / "study.yaml").read_text() == STUDY


OWN_SAMPLER = """
from optuna.samplers import RandomSampler


class Tired(RandomSampler):
    def infer_relative_search_space(self, study, trial):
        if trial.number == 5:
            raise RuntimeError("no more ideas")
        return super().infer_relative_search_space(study, trial)
"""


def test_a_search_that_breaks_stops_the_run_with_one_line_and_loses_nothing(
    tmp_path, monkeypatch
) -> None:
    (tmp_path / "own_sampler.py").write_text(OWN_SAMPLER)
    study = tmp_path / "small.yaml"
    study.write_text(STUDY.replace("[random, tpe]", "own_sampler.Tired"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    result = run(study, tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert "A search stopped with RuntimeError: no more ideas (details in" in line
    folder = tmp_path / "small"
    assert "Traceback" in (folder / "run-error.txt").read_text()
    searches = load_searches(folder)
    assert list(searches["index"]) == [0, 1, 2, 3]  # the batch that was asked before
    assert searches["status"].notna().all()
