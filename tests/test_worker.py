"""One trial in a process: resumed, recorded, never lost."""

from pathlib import Path

import pytest
import torch

from tune_metalr import worker
from tune_metalr.checkpoints import Checkpoints, files_of
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.training import Training
from tune_metalr.trial import COLUMNS, Purpose, Status
from tune_metalr.work_order import WorkOrder
from tune_metalr.workloads.task import Task

REPRODUCIBLE = [column.name for column in COLUMNS if column.reproducible]


class KilledError(BaseException):
    """Stands for a process that is killed."""


@pytest.fixture
def order(tmp_path, places):
    ledger = Ledger(tmp_path / "results")
    ledger.create()
    return WorkOrder(
        ledger.store, places, checkpoint_seconds=0, project_commit=None, import_folder=Path()
    )


def row_of(order, trial):
    (row,) = [
        row
        for row in Ledger(order.results).trials().table.to_pylist()
        if row["trial_id"] == trial.trial_id
    ]
    return row


def unfinished(order):
    return Checkpoints(Ledger(order.results).unfinished)


def test_a_trial_leaves_one_row_with_every_column_filled(order, make_trial):
    trial = make_trial(schedule="cosine")
    assert worker.run_trial(trial, "a method", order) is Status.COMPLETED
    row = row_of(order, trial)
    missing = {name for name, value in row.items() if value is None}
    assert missing <= {"device", "error", "gpu_model", "project_commit"}
    assert row["method"] == "a method"
    assert row["attempts"] == 1
    assert row["finished_utc"] > row["started_utc"]
    assert unfinished(order).trial_ids() == []


def test_a_killed_trial_goes_on_from_its_last_checkpoint(order, make_trial, monkeypatch):
    trial = make_trial(epochs=6)
    other = make_trial(epochs=6, seed=1)
    worker.run_trial(other, "whole", order)
    trained = []
    real = Training.run_epoch

    def run_epoch(training):
        if len(trained) in (2, 5):
            trained.append("killed")
            raise KilledError
        trained.append(training.epochs_done)
        real(training)

    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    for _ in range(2):
        with pytest.raises(KilledError):
            worker.run_trial(trial, "m", order)
        assert unfinished(order).trial_ids() == [trial.trial_id]
    worker.run_trial(trial, "m", order)
    assert trained == [0, 1, "killed", 2, 3, "killed", 4, 5]
    row = row_of(order, trial)
    assert row["attempts"] == 3
    assert row["epochs_done"] == 6


def test_resumed_and_whole_rows_are_equal_in_every_reproducible_column(
    order, make_trial, monkeypatch, tmp_path
):
    trial = make_trial(epochs=4)
    worker.run_trial(trial, "m", order)
    whole = row_of(order, trial)
    again = order._replace(results=tmp_path / "again")
    Ledger(again.results).create()
    real = Training.run_epoch

    def killed_later(training):
        if training.epochs_done == 3:
            raise KilledError
        real(training)

    monkeypatch.setattr(Training, "run_epoch", killed_later)
    with pytest.raises(KilledError):
        worker.run_trial(trial, "m", again)
    monkeypatch.setattr(Training, "run_epoch", real)
    worker.run_trial(trial, "another name", again)
    resumed = row_of(again, trial)
    assert {name: resumed[name] for name in REPRODUCIBLE} == {
        name: whole[name] for name in REPRODUCIBLE
    }


def test_an_exception_is_a_failed_row_that_is_charged(order, make_trial, monkeypatch):
    trial = make_trial(epochs=3)
    real = Training.run_epoch

    def broken(training):
        if training.epochs_done == 1:
            raise ValueError("broken method")
        real(training)

    monkeypatch.setattr(Training, "run_epoch", broken)
    assert worker.run_trial(trial, "m", order) is Status.FAILED
    row = row_of(order, trial)
    assert row["error"] == "ValueError: broken method"
    assert row["test_accuracy"] is None
    assert row["epochs_done"] == 1
    assert row["gradient_evaluations"] == 4
    assert unfinished(order).trial_ids() == []


def test_a_trial_whose_row_is_written_is_not_run_again(order, make_trial, monkeypatch):
    trial = make_trial()
    worker.run_trial(trial, "m", order)
    row = row_of(order, trial)
    unfinished(order).save(trial.trial_id, b"left by a worker that was lost before its report")
    monkeypatch.setattr(worker, "Training", None)
    assert worker.run_trial(trial, "m", order) is Status.COMPLETED
    assert row_of(order, trial) == row
    assert unfinished(order).trial_ids() == []


def test_a_development_run_stays_one(order, make_trial):
    trial, other = make_trial(), make_trial(seed=1)
    worker.run_trial(trial, "m", order._replace(purpose=Purpose.DEVELOPMENT))
    for each in (trial, other):
        worker.run_trial(each, "m", order)
    assert row_of(order, trial)["purpose"] == "development"
    assert row_of(order, other)["purpose"] == "evaluation"


def test_an_error_of_the_machine_is_not_the_trials(order, make_trial, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Checkpoints, "save", full)
    with pytest.raises(OSError, match="No space left"):
        worker.run_trial(make_trial(), "m", order)
    assert Ledger(order.results).statuses() == {}


def test_a_damaged_checkpoint_starts_the_trial_over(order, make_trial):
    trial = make_trial()
    unfinished(order).store.write(files_of(trial.trial_id).state, b"half a checkpoint")
    assert worker.run_trial(trial, "m", order) is Status.COMPLETED


def test_a_diverged_trial_is_a_result(order, make_trial):
    trial = make_trial(hyperparameters={"lr": 1e6})
    assert worker.run_trial(trial, "m", order) is Status.DIVERGED
    assert row_of(order, trial)["status"] == "diverged"


def test_a_row_tells_of_the_code_that_made_it(order, make_trial, monkeypatch):
    ours = dict(worker.provenance())
    for seed, known in enumerate(("here", None)):
        monkeypatch.setattr(worker, "provenance", lambda: ours | {"project_commit": known})  # noqa: B023
        trial = make_trial(seed=seed)
        worker.run_trial(trial, "m", order._replace(project_commit="driver"))
        assert row_of(order, trial)["project_commit"] == (known or "driver")


def test_a_node_with_other_code_than_the_drivers_is_told(order, make_trial):
    ours = worker.code()
    version = ours.torch_version.partition("+")[0]
    for other, told in (
        (ours._replace(digest="another", name="1a2b"), r"other files than the driver's 1a2b"),
        (ours._replace(torch_version="1.0+cpu"), r"and 1\.0\+cpu at the driver"),
    ):
        with pytest.raises(UserError, match=told):
            worker.run_trial(make_trial(), "m", order._replace(code=other))
    same = ours._replace(name="1a2b-dirty", torch_version=f"{version}+cu999")
    assert worker.run_trial(make_trial(), "m", order._replace(code=same))


def shrunk(trial, places):
    """A run whose weights are at the low end of a float's normal range, and decay below it."""
    training = Training(trial, Task(trial, places))
    with torch.no_grad():
        for weight in training._model.parameters():
            weight.mul_(1e-37)
    while not training.is_over:
        training.run_epoch()
    return training


def test_numbers_too_small_for_a_float_are_0_in_workers_and_no_outcome_changes(make_trial, places):
    trial = make_trial(hyperparameters={"lr": 0.5, "weight_decay": 1.0}, epochs=2)
    tiny = torch.full((8,), 1e-40)
    kept = shrunk(trial, places)
    largest = [float(w.detach().abs().max()) for w in kept._model.parameters() if w.dim() > 1]
    assert 0 < min(largest) < torch.finfo(torch.float32).tiny
    worker.prepare_process()
    try:
        assert float((tiny * 0.5).sum()) == 0
        flushed = shrunk(trial, places)
        outcome = flushed.finish()
    finally:
        torch.set_flush_denormal(False)
    assert float((tiny * 0.5).sum()) > 0
    names = [name for name in REPRODUCIBLE if name in outcome]
    expected = kept.finish()
    assert {name: outcome[name] for name in names} == {name: expected[name] for name in names}
