"""A trial, its identity, and the columns in which its outcome is recorded."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self

SCHEMA_VERSION = 1
TRAINING_REVISION = 2
"""Raised whenever the training loop changes the numbers it produces for the same trial."""

_LATER_FIELDS = ("minimum_accuracies", "inherited_epochs", "device")
"""Left out of the content where they are `None`: trials without them keep their ids."""

_SIGNIFICANT_DIGITS = 8
_TRIAL_ID_LENGTH = 20

Settings = Mapping[str, Any]
"""Names mapped to JSON values: numbers, strings, booleans, null, lists, mappings."""


class Status(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    """Trained to the end of its budget."""
    DIVERGED = "diverged"
    """The loss or the parameters left the range in which training makes sense: a result."""
    PRUNED = "pruned"
    """Stopped early by the rule of its search: a result, censored at its last epoch."""
    FAILED = "failed"
    """Broken by an error: no result. The next run tries it again."""

    @property
    def is_result(self) -> bool:
        """Whether the trial answered the question that it was run for."""
        return self is not Status.FAILED


MISSING = "missing"
"""Stands where a status would, for a trial that was never run."""


class Role(StrEnum):
    """Why a study wants a trial."""

    BASELINE = "baseline"
    SEARCH = "search"
    FINAL = "final"


class Purpose(StrEnum):
    """Why a study is run, and so what its trials may be taken to show."""

    EVALUATION = "evaluation"
    """Every method was finished before: what its runs show holds for workloads like these."""
    DEVELOPMENT = "development"
    """A method is being designed on these workloads: its runs flatter it there, and are counted."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One training run: everything that decides its outcome, and nothing else.

    Study, search, role, time and host are not part of it: two studies that want the same
    run share it.
    """

    workload: str
    """Name of the workload; together with `seed` it names the random streams."""
    workload_settings: Settings
    """What the workload trains: source, model, splits, revision."""
    data_version: str
    """Fingerprint of the decoded examples."""
    optimizer: str
    schedule: str
    controller: str
    hyperparameters: Settings
    """Every number of the method; floats keep 8 significant digits."""
    method_revision: str
    """Declared by optimizer, schedule and controller; changes when their arithmetic changes."""
    seed: int
    epochs: int
    batch_size: int
    train_examples: int | None
    """Size of the training subset, drawn by seed; `None` is the whole split."""
    precision: str
    threads: int
    training_revision: int = TRAINING_REVISION
    minimum_accuracies: tuple[float | None, ...] | None = None
    """Validation accuracy below which the trial is stopped after each epoch, from the frozen
    history of its search; `None` for a trial that nothing stops."""
    inherited_epochs: int | None = None
    """Epochs that its parent has trained, from whose end it goes on: 0 begins a lineage. `None` for
    a trial that trains all of its epochs itself and has no children; see `lineage`."""
    device: str | None = None
    """`cuda` where a GPU trains: its sums are rounded otherwise. `None` is the CPU."""

    def __post_init__(self) -> None:
        for name in ("hyperparameters", "workload_settings"):
            object.__setattr__(self, name, _rounded(dict(getattr(self, name))))
        if self.minimum_accuracies is not None:
            object.__setattr__(self, "minimum_accuracies", tuple(_rounded(self.minimum_accuracies)))

    @property
    def trial_id(self) -> str:
        """Hash of the trial's content: equal trials have equal ids on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:_TRIAL_ID_LENGTH]

    def to_json(self) -> str:
        """Return the canonical JSON text of which the id is the hash."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in _LATER_FIELDS:
            if content[name] is None:
                del content[name]
        return canonical_json(content)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a trial from `to_json`."""
        return cls(**json.loads(text))


class WantedTrial(NamedTuple):
    """A trial, and what a study calls it."""

    trial: Trial
    role: Role
    method: str
    """The study's name for the method."""
    target_accuracy: float | None
    """Validation accuracy that counts as solved, set by the workload or the study."""


class Column(NamedTuple):
    """One column of the ledger's trials."""

    name: str
    dtype: str
    """`string`, `int64`, `float64`, or a list of one of them: `list<float64>`."""
    reproducible: bool
    """Whether the same trial gives the same value on any number of CPUs, whole or resumed."""
    unit: str = ""
    meaning: str = ""


COLUMNS: tuple[Column, ...] = (
    # Identity: what was run.
    Column("trial_id", "string", True, meaning="hash of the trial's content"),
    Column("schema_version", "int64", True, meaning="version of these columns"),
    Column("workload", "string", True),
    Column("data_version", "string", True, meaning="fingerprint of the decoded examples"),
    Column("method", "string", False, meaning="the name under which it was first run"),
    Column("optimizer", "string", True),
    Column("schedule", "string", True),
    Column("controller", "string", True),
    Column("hyperparameters", "string", True, "JSON"),
    Column("seed", "int64", True),
    Column("epochs", "int64", True, "epochs", "the budget"),
    Column("train_examples", "int64", True, "examples", "null: the whole training split"),
    Column("batch_size", "int64", True, "examples"),
    Column("precision", "string", True),
    Column("threads", "int64", True, "threads"),
    Column("device", "string", True, meaning="cuda; null: cpu"),
    Column("definition", "string", True, "JSON", "the whole trial, as hashed"),
    # Outcome: what came of it.
    Column("status", "string", True),
    Column("error", "string", True, meaning="why it failed, diverged or was pruned"),
    Column("validation_accuracy", "float64", True, "fraction", "whole split, last epoch"),
    Column("validation_loss_nats", "float64", True, "nats/example", "whole split, last epoch"),
    Column("test_accuracy", "float64", True, "fraction", "once, after training"),
    Column("test_loss_nats", "float64", True, "nats/example", "once, after training"),
    Column("best_epoch", "int64", True, "epoch, from 1", "highest validation accuracy, earliest"),
    Column("epochs_done", "int64", True, "epochs"),
    Column("steps", "int64", True, "optimizer steps"),
    # Curves: one value per epoch; the learning rate one per step. Curves, steps and cost of a trial
    # that goes on from its parent are its own part; its epochs count from its lineage's beginning.
    Column("train_loss_curve_nats", "list<float64>", True, "nats/example", "mean of an epoch"),
    Column("validation_loss_curve_nats", "list<float64>", True, "nats/example"),
    Column("validation_accuracy_curve", "list<float64>", True, "fraction"),
    Column("epoch_seconds", "list<float64>", False, "s", "training, without evaluation"),
    Column("learning_rates", "list<float64>", True, "1", "of every step"),
    # Cost: what it took, lost attempts included.
    Column("train_seconds", "float64", False, "s"),
    Column("evaluation_seconds", "float64", False, "s"),
    Column("probe_seconds", "float64", False, "s", "batch statistics taken anew; no probes"),
    Column("cpu_seconds", "float64", False, "s", "CPU time of the worker"),
    Column("gradient_evaluations", "int64", True, "minibatch gradients"),
    Column("forward_evaluations", "int64", True, "minibatch losses", "beyond the gradients'"),
    Column("attempts", "int64", False, "attempts", "1 unless a worker was lost or stopped"),
    Column("lost_seconds", "float64", False, "s", "work of lost attempts that was done again"),
    # Provenance: what for, by what and when.
    Column("purpose", "string", False, meaning="evaluation or development; null: evaluation"),
    Column("project_version", "string", False),
    Column("project_commit", "string", False, meaning="null outside a git checkout"),
    Column("python_version", "string", False),
    Column("torch_version", "string", False),
    Column("ray_version", "string", False),
    Column("optuna_version", "string", False),
    Column("cpu_model", "string", False),
    Column("gpu_model", "string", False, meaning="null: none was used"),
    Column("started_utc", "string", False, "ISO 8601"),
    Column("finished_utc", "string", False, "ISO 8601"),
)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def identity_columns(trial: Trial, method: str) -> dict[str, Any]:
    """Return the ledger's identity columns of a trial."""
    same = ("workload", "data_version", "optimizer", "schedule", "controller", "seed", "epochs",
            "train_examples", "batch_size", "precision", "threads", "device")  # fmt: skip
    return {name: getattr(trial, name) for name in same} | {
        "trial_id": trial.trial_id,
        "schema_version": SCHEMA_VERSION,
        "method": method,
        "hyperparameters": canonical_json(trial.hyperparameters),
        "definition": trial.to_json(),
    }


def selection_order(accuracy: float | None, loss_nats: float | None) -> tuple[float, float]:
    """Return what sorts trials as selection does: best validation accuracy first, then loss."""
    return (
        -math.inf if accuracy is None else -accuracy,
        math.inf if loss_nats is None else loss_nats,
    )


def failed_outcome(reason: str) -> dict[str, Any]:
    """Return the outcome columns of a trial that broke: a reason, and no metric."""
    return {"status": Status.FAILED, "error": reason}


def _rounded(value: Any) -> Any:
    """Return the value with every float cut to the digits that identity is based on."""
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
