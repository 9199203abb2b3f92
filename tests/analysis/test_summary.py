import numpy as np
import pytest

from analysis.load import load_trials
from analysis.summary import summarize
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import MISSING, Role, Status


def summary(ledger):
    return {row.method: row for row in summarize(load_trials(ledger.finish()))}


def test_every_run_is_counted_and_divergence_stands_beside_the_mean(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [0.8, 0.9, Status.DIVERGED, Status.FAILED, None])
    row = summary(ledger)["sgd"]
    assert row.wanted == 5
    assert row.counts == {
        Status.COMPLETED: 2, Status.DIVERGED: 1, Status.FAILED: 1, MISSING: 1,
    }  # fmt: skip
    assert row.completed_score.estimate == pytest.approx(0.85)
    assert row.score.estimate == pytest.approx((0.8 + 0.9 + 0.1 + 0.1) / 4)
    assert row.diverged.estimate == 0.25
    assert row.diverged.low < 0.25 < row.diverged.high
    assert row.total_device_seconds == pytest.approx(4 * 2.5)


def test_a_method_whose_runs_all_diverged_has_a_rate_and_no_completed_mean(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [Status.DIVERGED] * 3)
    row = summary(ledger)["sgd"]
    assert row.completed_score is None
    assert row.score == pytest.approx((0.1, 0.1, 0.1))
    assert row.diverged.estimate == 1


def test_a_method_that_was_never_run_says_so(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [None, None])
    row = summary(ledger)["sgd"]
    assert (row.score, row.diverged, row.device_seconds) == (None, None, None)


def test_one_run_has_no_interval(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [0.9])
    assert summary(ledger)["sgd"].score == (0.9, -np.inf, np.inf)


def test_an_interval_ends_where_accuracies_do(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [1.0, 1.0, 1.0, 0.5])
    assert summary(ledger)["sgd"].score.high == 1


def test_trials_of_searches_are_no_method(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [0.9])
    ledger.add_method("tuned", [0.9], role=Role.FINAL)
    ledger.add_method("tuning", [0.9], role=Role.SEARCH)
    assert set(summary(ledger)) == {"sgd", "tuned"}
