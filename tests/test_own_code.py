"""A whole run with the user's own optimizer, workload and data, from the folder they lie in."""

import csv
import hashlib
import os
import textwrap
from pathlib import Path

import pytest

from analysis.load import load_trials
from tests.conftest import REPOSITORY, tune_metalr

pytestmark = pytest.mark.timeout(300)

MODULE = """
    import numpy as np
    import torch
    from tune_metalr import PythonWorkload

    class Descent(torch.optim.SGD):
        pass

    class Spoiler(PythonWorkload):
        '''Changes its batches in place: the data that trials share must not notice.'''

        num_classes = 2
        target_accuracy = 0.9

        def load(self):
            inputs = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
            labels = (inputs[:, 0] > 0).astype(int)
            return {"train_inputs": inputs[:200], "train_labels": labels[:200],
                    "test_inputs": inputs[200:], "test_labels": labels[200:]}

        def build_model(self):
            return torch.nn.Linear(3, 2)

        def batch(self, inputs):
            inputs *= 2
            return torch.from_numpy(inputs)
"""
STUDY = """
name: own
workloads:
  - own_code.Spoiler
  - {name: reviews, dataset: ./reviews, text_column: text, label_column: label, model: lstm,
     target: 0.8}
epochs: 2
seeds: 1
methods:
  descent: {optimizer: own_code.Descent, lr: 0.1}
  schedule-free: {optimizer: schedulefree.AdamWScheduleFree, lr: 0.01, warmup_steps: 5}
  hopeless: {optimizer: sgd, lr: 1e6}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A user's folder: a module, a study, a data set."""
    (tmp_path / "own_code.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "reviews").mkdir()
    for split in ("train", "test"):
        with (tmp_path / "reviews" / f"{split}.csv").open("w", newline="") as file:
            texts = [("good film", 1), ("bad film", 0)] * 20
            csv.writer(file).writerows([("text", "label"), *texts])
    return tmp_path


def checksums(cache: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in cache.rglob("*.npy")
    }


def test_own_code_and_data_are_found_and_left_as_they_are(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("TUNE_METALR_CACHE", str(folder / "cache"))
    planned = tune_metalr("plan", "study.yaml")
    assert "trials (baseline): 6" in planned.stdout, planned.stderr
    before = checksums(folder / "cache")
    result = tune_metalr("run", "study.yaml", "--cpus", "2", timeout=250)
    assert result.returncode == 0, result.stdout + result.stderr
    trials = load_trials(folder / "results/own").set_index(["workload", "method"])
    assert set(trials["status"][:, "descent"]) == {"completed"}
    assert set(trials["status"][:, "schedule-free"]) == {"completed"}
    assert set(trials["status"][:, "hopeless"]) == {"diverged"}
    assert trials["validation_accuracy"]["reviews", "schedule-free"] == 1.0
    # Whatever a workload does to its batches, the arrays that all trials share are unchanged.
    assert checksums(folder / "cache") == before
    assert len(before) >= 4
    assert not list(Path(os.environ["TUNE_METALR_CACHE"]).glob("*@*"))
