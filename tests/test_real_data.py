"""The real data sets are learned as well as the issue of their workloads asks."""

import pytest

from analysis.load import load_trials
from tests.conftest import tune_metalr

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1500)]

IMAGES = """\
name: images
workloads: [{name: cifar10-cnn, train_examples: 10000}]
epochs: 5
seeds: 2
methods: {adam: {optimizer: adam, lr: 1e-3}}
"""
TEXTS = """\
name: texts
workloads:
  - {name: imdb-lstm, train_examples: 10000, max_tokens: 128, epochs: 3}
  - {name: sst2-lstm, epochs: 5}
epochs: 5
seeds: 1
methods:
  adam:
    optimizer: adam
    lr: 3e-3
    schedule: linear
    warmup_fraction: 0.1
    clip_norm: 1.0
"""


def accuracies(study, mirror, folder):
    path = folder / "study.yaml"
    path.write_text(study)
    options = ("--results", folder, "--data-dir", mirror, "--cpus", "2")
    result = tune_metalr("run", path, *options, timeout=1400)
    assert result.returncode == 0, result.stdout + result.stderr
    (results,) = (path for path in folder.iterdir() if path.is_dir())
    return load_trials(results).groupby("workload")["test_accuracy"].min()


def test_images_are_learned(mirror, tmp_path):
    assert accuracies(IMAGES, mirror, tmp_path)["cifar10-cnn"] > 0.55


def test_texts_are_learned(mirror, tmp_path):
    reached = accuracies(TEXTS, mirror, tmp_path)
    assert reached["imdb-lstm"] > 0.75
    assert reached["sst2-lstm"] > 0.70
