import pytest

from tests.test_ledger import full_row, trial
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.status import SUPERSEDED, study_status
from tune_metalr.trial import MISSING, Role, Status, WantedTrial


@pytest.fixture
def ledger(tmp_path):
    """Four wanted trials: completed, diverged, failed, missing; and one that is superseded."""
    ledger = Ledger(tmp_path / "study")
    ledger.create()
    wanted = [
        WantedTrial(trial(seed), Role.BASELINE, "a" if seed < 2 else "b", 0.9) for seed in range(4)
    ]
    ledger.write_study("name: study\n", wanted, ["tune-metalr", "run", "study.yaml"])
    ledger.record(full_row(0))
    ledger.record(full_row(1, status=Status.DIVERGED))
    ledger.record(full_row(2, status=Status.FAILED, error="ValueError: x"))
    ledger.record(full_row(9, method="old"))
    return ledger


def test_every_cell_is_counted(ledger):
    cells = {cell.method: cell for cell in study_status(ledger).cells}
    assert cells["a"].counts == {Status.COMPLETED: 1, Status.DIVERGED: 1}
    assert cells["b"].counts == {Status.FAILED: 1, MISSING: 1}
    assert cells["old"].counts == {SUPERSEDED: 1}
    assert [cell.wanted for cell in cells.values()] == [2, 2, 0]


def test_failures_and_what_is_missing_are_named(ledger):
    status = study_status(ledger)
    assert status.num_wanted == 4
    assert status.num_without_result == 2
    assert status.failures == [("ValueError: x", 1, "b")]


def test_damaged_files_are_named(ledger):
    (ledger.store.root / "trials" / "x.parquet").write_bytes(b"")
    assert list(study_status(ledger).damaged) == ["x.parquet"]


def test_a_folder_without_a_study_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no results"):
        study_status(Ledger(tmp_path))
