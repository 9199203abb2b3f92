"""What tests share: small studies, small trials, the mirror of real data, the command line."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tune_metalr.expansion import expand
from tune_metalr.methods import method_revision
from tune_metalr.ray_pool import set_environment
from tune_metalr.study import Study
from tune_metalr.study_file import load_study
from tune_metalr.training import Training
from tune_metalr.trial import Trial, WantedTrial
from tune_metalr.workloads import WORKLOADS, ReadyWorkload
from tune_metalr.workloads.cache import make_ready
from tune_metalr.workloads.places import DataPlaces
from tune_metalr.workloads.task import Task

REPOSITORY = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "tune_metalr"]

# Ray reads it when it is imported: any test may do so, before another one starts a cluster.
# Processes that pytest-xdist starts are told what is ours: their own environment begins with it.
_USERS = dict(os.environ)
set_environment(is_private=True)
_OURS = {name for name, value in os.environ.items() if _USERS.get(name) != value}
_OURS |= set(_USERS.get("SET_FOR_TESTS", "").split()) | {"SET_FOR_TESTS"}
os.environ["SET_FOR_TESTS"] = " ".join(sorted(_OURS))

settings.register_profile(
    "repeatable",
    deadline=None,
    max_examples=50,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep decoded data out of the user's cache; made once for all tests, and by subprocesses."""
    cache = tmp_path_factory.mktemp("data-cache")
    os.environ["TUNE_METALR_CACHE"] = str(cache)
    os.environ["HF_HUB_OFFLINE"] = "1"  # read by the hub's client when it is imported
    return cache


@pytest.fixture(scope="session")
def places(data_cache: Path) -> DataPlaces:
    return DataPlaces(data_cache, None)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The local mirror of the real data sets."""
    named = os.environ.get("TUNE_METALR_DATA")
    if not named:
        pytest.skip("needs the mirror of the real data sets: set TUNE_METALR_DATA")
    return Path(named).resolve()


@pytest.fixture(scope="session")
def make_trial(places: DataPlaces) -> Callable[..., Trial]:
    """Return a maker of small trials on the bundled digits."""
    ready = make_ready(WORKLOADS["digits-cnn"], places)
    workload, version = ready.workload, ready.data_version

    def make(**changes: Any) -> Trial:
        fields: dict[str, Any] = {
            "workload": workload.name,
            "workload_settings": workload.settings(),
            "data_version": version,
            "optimizer": "sgd",
            "schedule": "constant",
            "controller": "fixed",
            "hyperparameters": {"lr": 0.01, "momentum": 0.9, "warmup_fraction": 0.0},
            "seed": 0,
            "epochs": 2,
            "batch_size": 64,
            "train_examples": 256,
            "precision": "float32",
            "threads": 1,
        }
        fields |= changes
        names = [fields[kind] for kind in ("optimizer", "schedule", "controller")]
        if "method_revision" not in fields:
            averaging = fields["hyperparameters"].get("averaging", False)
            fields["method_revision"] = method_revision(*names, averaging=averaging)
        return Trial(**fields)

    return make


SMALL_STUDY = """\
name: small
workloads:
  - name: digits-cnn
    train_examples: 128
epochs: 2
seeds: 3
methods:
  sgd: {optimizer: sgd, lr: [1e-3, 1e-2], momentum: 0.9}
"""


@pytest.fixture
def start(make_trial: Callable[..., Trial], places: DataPlaces) -> Callable[..., Training]:
    """Begin the training of a small trial with changes."""

    def begin(**changes: Any) -> Training:
        trial = make_trial(**changes)
        return Training(trial, Task(trial, places))

    return begin


@pytest.fixture
def study_path(tmp_path: Path) -> Path:
    """A study of six short trials."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL_STUDY)
    return path


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return path

    return write


def tune_metalr(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [*COMMAND, *(str(argument) for argument in arguments)]
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, env=environment
    )


@pytest.fixture
def short_temporary_folder() -> Iterator[Path]:
    """A folder of its own for one run; Ray's sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


def without_data(study: Study) -> dict[str, ReadyWorkload]:
    """Return a study's workloads as if their data had been decoded."""
    return {
        choice.name: ReadyWorkload(
            workload=choice.definition(), data_version="v", available_examples=10**6
        )
        for choice in study.workloads
    }


def expanded(path: Path) -> list[WantedTrial]:
    """Return the trials of a study file, without its data."""
    study = load_study(path).study
    return expand(study, without_data(study))


__all__ = [
    "COMMAND",
    "REPOSITORY",
    "SMALL_STUDY",
    "expanded",
    "load_study",
    "tune_metalr",
    "without_data",
]
