"""A store that takes five seconds for a row, while half of the trials are pruned."""

import textwrap
import time

import pytest

from analysis.load import load_searches, load_trials
from tests.conftest import REPOSITORY, tune_metalr

pytestmark = [pytest.mark.timeout(500), pytest.mark.heavy]

WRITE_SECONDS = 5
MODULE = f"""
    import time
    import numpy as np
    import torch
    from tune_metalr.store import FolderStore
    from tune_metalr import PythonWorkload

    write = FolderStore.write

    def slowly(store, name, data, **options):
        if store.root.name == "trials":
            time.sleep({WRITE_SECONDS})
        write(store, name, data, **options)

    FolderStore.write = slowly

    class Points(PythonWorkload):
        num_classes = 2
        target_accuracy = 0.9

        def load(self):
            inputs = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
            labels = (inputs[:, 0] > 0).astype(int)
            return {{"train_inputs": inputs[:200], "train_labels": labels[:200],
                    "test_inputs": inputs[200:], "test_labels": labels[200:]}}

        def build_model(self):
            return torch.nn.Linear(3, 2)
"""
STUDY = """
name: slow
workloads: [slow_store.Points]
epochs: 3
seeds: 2
searches:
  wide:
    optimizer: sgd
    space: {lr: {log_uniform: [1e-5, 10]}}
    samplers: random
    pruner: successive-halving
    trials: 30
    batch: 6
"""


def test_no_row_is_lost_and_nothing_hangs(tmp_path, monkeypatch) -> None:
    (tmp_path / "slow_store.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("TUNE_METALR_CACHE", str(tmp_path / "cache"))
    start = time.monotonic()
    result = tune_metalr("run", "study.yaml", "--cpus", "2", timeout=400)
    seconds = time.monotonic() - start
    assert result.returncode == 0, result.stderr
    searches, finals = load_searches("results/slow"), load_trials("results/slow")
    counts = searches["status"].value_counts()
    assert counts.sum() == 30
    assert counts["pruned"] >= 12
    assert set(finals["status"]) == {"completed"}
    # Two workers write side by side; the driver writes segments.
    assert seconds > 32 / 2 * WRITE_SECONDS, "the store was not slow"
    assert seconds < 2 * 32 / 2 * WRITE_SECONDS + 60
