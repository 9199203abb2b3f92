"""What the soak counts: rows that are lost, doubled or wrong are seen."""

import pytest

from tests.cluster_runs import WrittenRows, recorded, reproducible
from tests.damage import Damage, damage, num_written_again
from tune_metalr.ledger import Ledger
from tune_metalr.trial import Status, failed_outcome, identity_columns


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.create()
    return ledger


def record(ledger, trial, *, accuracy=0.5, finished="2026", status=Status.COMPLETED):
    outcome = {"status": status, "validation_accuracy": accuracy, "finished_utc": finished}
    if status is Status.FAILED:
        outcome = failed_outcome("killed") | {"finished_utc": finished}
    ledger.record(identity_columns(trial, "m") | outcome)


def seen(ledger):
    written = WrittenRows(ledger)
    written.stop()
    return written.files()


def test_rows_that_are_lost_doubled_or_wrong_are_counted(ledger, make_trial):
    first, second, third = (make_trial(seed=seed) for seed in range(3))
    for trial in (first, second):
        record(ledger, trial)
    right = recorded(ledger.store.location)
    assert damage(right, right, seen(ledger)) == Damage(0, 0, 0)
    found = {"trials": right["trials"][:1], "proposals": right["proposals"]}
    assert damage(found, right, {}) == Damage(lost=1, doubled=0, wrong=0)
    record(ledger, first)
    found = recorded(ledger.store.location)
    assert damage(found, right, seen(ledger)) == Damage(lost=0, doubled=1, wrong=0)
    assert num_written_again(seen(ledger)) == 1
    record(ledger, third)
    found = recorded(ledger.store.location)
    assert damage(found, right, seen(ledger)) == Damage(lost=0, doubled=1, wrong=1)


def test_a_wrong_row_that_compaction_dropped_is_seen(ledger, make_trial):
    trial, other = make_trial(), make_trial(seed=1)
    for each in (trial, other):
        record(ledger, each)
    right = recorded(ledger.store.location)
    record(ledger, trial, accuracy=0.7, finished="2025")
    record(ledger, trial, status=Status.FAILED)  # a loss before: an attempt, no wrong number
    written = seen(ledger)
    found = {
        "trials": sorted(
            map(reproducible, ledger.trials().table.to_pylist()), key=lambda row: row["trial_id"]
        ),
        "proposals": right["proposals"],
    }
    assert damage(found, right, written).doubled == 0
    assert damage(found, right, written).wrong == 1
