import dataclasses

import pytest

from tune_metalr.trial import COLUMNS, Status, Trial, identity_columns

FIELDS = {
    "workload": "digits-cnn",
    "workload_settings": {"model": "cnn", "revision": 1},
    "data_version": "abc",
    "optimizer": "sgd",
    "schedule": "constant",
    "controller": "fixed",
    "hyperparameters": {"lr": 0.1, "betas": [0.9, 0.999]},
    "method_revision": "1-1-1",
    "seed": 0,
    "epochs": 1,
    "batch_size": 64,
    "train_examples": None,
    "precision": "float32",
    "threads": 1,
}
OTHER = {
    "workload_settings": {"model": "cnn", "revision": 2},
    "hyperparameters": {"lr": 0.2, "betas": [0.9, 0.999]},
    "train_examples": 10,
}


def test_the_id_of_a_trial_is_the_same_everywhere():
    # Pinned: a change orphans every ledger.
    assert Trial(**FIELDS, training_revision=1).trial_id == "699ea318207fcc712f06"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Trial)])
def test_everything_in_a_trial_decides_its_id(field):
    trial = Trial(**FIELDS)
    value = getattr(trial, field)
    other = OTHER.get(field, value + 1 if isinstance(value, int) else f"{value}!")
    assert dataclasses.replace(trial, **{field: other}).trial_id != trial.trial_id


def test_a_trial_comes_back_from_json():
    trial = Trial(**FIELDS)
    assert Trial.from_json(trial.to_json()) == trial


def test_floats_are_cut_to_what_identity_is_based_on():
    noisy = FIELDS | {"hyperparameters": {"lr": 0.1 + 1e-12, "betas": [0.9, 0.999]}}
    trial = Trial(**noisy)
    assert trial.hyperparameters["lr"] == 0.1
    assert trial.trial_id == Trial(**FIELDS).trial_id


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        Trial(**FIELDS | {"hyperparameters": {"lr": float("nan")}}).trial_id  # noqa: B018


def test_only_a_failure_is_no_result():
    assert [status for status in Status if not status.is_result] == [Status.FAILED]


def test_identity_columns_are_declared_and_reproducible():
    columns = {column.name: column for column in COLUMNS}
    assert len(columns) == len(COLUMNS)
    for name in identity_columns(Trial(**FIELDS), "a name"):
        assert columns[name].reproducible or name == "method"
