"""Rounds of a lineage: the bits of a whole run, wherever and however often they are trained."""

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch

from tune_metalr import inheritance as inheritance_module
from tune_metalr import worker
from tune_metalr.checkpoints import Checkpoints, files_of
from tune_metalr.inheritance import Inheritance, packed, unpacked
from tune_metalr.ledger import Ledger
from tune_metalr.lineage import first_round, next_round
from tune_metalr.training import Training
from tune_metalr.trial import COLUMNS, Status
from tune_metalr.work_order import WorkOrder
from tune_metalr.workloads.task import Task

REPRODUCIBLE = [column.name for column in COLUMNS if column.reproducible]
RATES = (0.036, 0.0288)
METHODS = {
    "sgd": {"hyperparameters": {"lr": 0.03, "momentum": 0.9, "warmup_fraction": 0.0}},
    "adamw": {"optimizer": "adamw", "hyperparameters": {"lr": 0.03, "weight_decay": 0.1}},
    "schedule-free": {
        "optimizer": "schedulefree.AdamWScheduleFree",
        "hyperparameters": {"lr": 0.03},
    },
    "bfloat16": {"precision": "bfloat16", "hyperparameters": {"lr": 0.03}},
}


class KilledError(BaseException):
    """Stands for a process that is killed."""


@pytest.fixture
def order(tmp_path, places):
    ledger = Ledger(tmp_path / "results")
    ledger.create()
    return WorkOrder(
        ledger.store, places, checkpoint_seconds=1e9, project_commit=None, import_folder=Path()
    )


@pytest.fixture
def lineage(make_trial):
    """Three rounds of two epochs."""

    def make(**changes):
        changes = changes or METHODS["sgd"]
        rounds = [first_round(make_trial(epochs=6, train_examples=128, **changes), 2)]
        for rate in RATES:
            rounds.append(next_round(rounds[-1], rate))
        return rounds

    return make


def whole_run(trial):
    return dataclasses.replace(trial, inherited_epochs=None)


def kept(order):
    return Checkpoints(Ledger(order.results).kept)


def row_of(order, trial):
    rows = Ledger(order.results).trials().table.to_pylist()
    (row,) = [row for row in rows if row["trial_id"] == trial.trial_id]
    return row


def reproducible(row):
    return {name: row[name] for name in REPRODUCIBLE}


def same_state(a, b):
    """Compare weights, optimizer and controller bit for bit; records differ on purpose."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_state, a, b))
    return a == b


def without_record(state):
    return {name: part for name, part in state.items() if name != "record"}


@pytest.mark.parametrize("changes", METHODS.values(), ids=METHODS)
def test_the_state_of_a_lineage_is_that_of_a_whole_run(order, lineage, places, changes):
    rounds = lineage(**changes)
    for trial in rounds:
        assert worker.run_trial(trial, "m", order) is Status.COMPLETED
    whole = Training(whole_run(rounds[-1]), Task(whole_run(rounds[-1]), places))
    while not whole.is_over:
        whole.run_epoch()
    expected = unpacked(packed(whole))
    found = unpacked(kept(order).load(rounds[-1].trial_id))
    assert same_state(without_record(found), without_record(expected))
    outcome = whole.finish()
    last = row_of(order, rounds[-1])
    for name in ("validation_accuracy", "validation_loss_nats", "test_loss_nats", "epochs_done"):
        assert last[name] == outcome[name]
    for name in ("learning_rates", "train_loss_curve_nats", "validation_accuracy_curve"):
        parts = (row_of(order, trial)[name] for trial in rounds)
        assert list(itertools.chain.from_iterable(parts)) == outcome[name]
    best = [row_of(order, trial)["best_epoch"] for trial in rounds]
    assert outcome["best_epoch"] in best
    assert [(number - 1) // 2 for number in best] == [0, 1, 2]


def test_each_round_is_charged_for_itself_alone(order, lineage):
    rounds = lineage()
    for trial in rounds:
        worker.run_trial(trial, "m", order)
    rows = [row_of(order, trial) for trial in rounds]
    assert [row["epochs_done"] for row in rows] == [2, 4, 6]
    assert [row["steps"] for row in rows] == [4, 4, 4]
    assert [row["gradient_evaluations"] for row in rows] == [4, 4, 4]
    assert [len(row["epoch_seconds"]) for row in rows] == [2, 2, 2]
    assert [set(row["learning_rates"]) for row in rows] == [{0.03}, {0.036}, {0.0288}]
    assert [row["lost_seconds"] for row in rows] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("lost", [(0,), (1,), (0, 1), "damaged"])
def test_a_lost_parent_is_made_again_bit_for_bit(order, lineage, tmp_path, lost):
    rounds = lineage()
    for trial in rounds:
        worker.run_trial(trial, "m", order)
    again = order._replace(results=tmp_path / "again")
    Ledger(again.results).create()
    for trial in rounds[:2]:
        worker.run_trial(trial, "m", again)
    if lost == "damaged":
        kept(again).store.write(files_of(rounds[1].trial_id).state, b"half a state")
    else:
        for place in lost:
            kept(again).remove(rounds[place].trial_id)
    assert worker.run_trial(rounds[2], "m", again) is Status.COMPLETED
    expected, found = (row_of(each, rounds[2]) for each in (order, again))
    assert reproducible(found) == reproducible(expected)
    states = [unpacked(kept(each).load(rounds[2].trial_id)) for each in (order, again)]
    assert same_state(*(without_record(state) for state in states))
    assert (found["lost_seconds"] > 0) == (lost != (0,))
    assert found["gradient_evaluations"] == 4


def test_only_what_is_lost_is_trained_again(order, lineage, monkeypatch):
    rounds = lineage()
    for trial in rounds[:2]:
        worker.run_trial(trial, "m", order)
    kept(order).remove(rounds[1].trial_id)
    trained = []
    real = Training.run_epoch
    monkeypatch.setattr(
        Training, "run_epoch", lambda self: trained.append(self.epochs_done) or real(self)
    )
    worker.run_trial(rounds[2], "m", order)
    assert trained == [2, 3, 4, 5]
    assert kept(order).load(rounds[1].trial_id) is not None  # for the next child


def test_a_killed_round_goes_on_from_its_own_checkpoint(order, lineage, tmp_path, monkeypatch):
    rounds = lineage()
    for trial in rounds:
        worker.run_trial(trial, "m", order)
    again = order._replace(results=tmp_path / "again", checkpoint_seconds=0)
    Ledger(again.results).create()
    for trial in rounds[:2]:
        worker.run_trial(trial, "m", again)
    real = Training.run_epoch

    def killed(training):
        if training.epochs_done == 5:
            raise KilledError
        real(training)

    monkeypatch.setattr(Training, "run_epoch", killed)
    with pytest.raises(KilledError):
        worker.run_trial(rounds[2], "m", again)
    monkeypatch.setattr(Training, "run_epoch", real)
    kept(again).clear()  # its checkpoint is enough
    worker.run_trial(rounds[2], "m", again)
    assert reproducible(row_of(again, rounds[2])) == reproducible(row_of(order, rounds[2]))


def test_what_diverges_leaves_nothing_and_its_child_fails(order, lineage):
    rounds = lineage(hyperparameters={"lr": 1e6})
    assert worker.run_trial(rounds[0], "m", order) is Status.DIVERGED
    assert kept(order).trial_ids() == []
    assert worker.run_trial(rounds[1], "m", order) is Status.FAILED
    assert "diverges when it is run again" in row_of(order, rounds[1])["error"]


def test_a_whole_run_keeps_and_inherits_nothing(order, lineage, monkeypatch):
    monkeypatch.setattr(inheritance_module, "packed", None)
    assert worker.run_trial(whole_run(lineage()[2]), "m", order) is Status.COMPLETED
    assert Ledger(order.results).kept.names() == []


def test_sweeping_unfinished_trials_leaves_what_is_kept(order, lineage, places):
    first = lineage()[0]
    worker.run_trial(first, "m", order)
    Checkpoints(Ledger(order.results).unfinished).sweep(finished={first.trial_id})
    child = Training(lineage()[1], Task(lineage()[1], places))
    assert Inheritance(kept(order), places).begin(child) == 0.0
    assert child.epochs_done == 2
