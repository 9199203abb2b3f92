"""What a trial counts as: no run vanishes, and none gains by failing."""

import numpy as np
import pytest

from analysis.load import load_trials
from analysis.scores import device_seconds, floors, paired_scores, with_scores
from tests.ledgers import MadeUpLedger
from tune_metalr.errors import UserError
from tune_metalr.trial import Status


def scored(ledger):
    trials = load_trials(ledger.finish())
    return with_scores(trials, floors(trials))


def test_only_a_completed_run_counts_as_its_accuracy(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [0.9, Status.DIVERGED, Status.FAILED, Status.PRUNED, None])
    scores = scored(ledger).sort_values("seed")["score"].to_numpy()
    np.testing.assert_array_equal(scores, [0.9, 0.1, 0.1, 0.1, np.nan])


def test_a_pruned_run_does_not_count_as_what_it_had_reached(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add("sgd", 0, Status.PRUNED, test_accuracy=0.99, validation_accuracy=0.99)
    assert scored(ledger)["score"].tolist() == [0.1]


def test_a_run_without_a_score_counts_no_more_than_the_worst_run(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [0.07, 0.9, Status.DIVERGED])
    assert scored(ledger)["score"].min() == 0.07


def test_a_metric_that_is_missing_never_becomes_zero(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("sgd", [None, None])
    trials = load_trials(ledger.finish())
    assert with_scores(trials, floors(trials))["score"].isna().all()
    assert device_seconds(trials).isna().all()


def test_every_second_is_charged_lost_work_and_threads_included(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add("sgd", 0, 0.9, seconds=2.0, lost_seconds=1.0, probe_seconds=0.25)
    ledger.add("sgd", 1, Status.FAILED, seconds=3.0)
    trials = load_trials(ledger.finish()).sort_values("seed")
    assert device_seconds(trials).tolist() == [3.75, 3.5]
    assert device_seconds(trials.assign(threads=2)).tolist() == [7.5, 7.0]


def test_methods_are_paired_by_seed_not_by_the_order_of_rows(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    for seed in (2, 0, 1):
        ledger.add("adam", seed, 0.5 + seed / 100)
    ledger.add_method("sgd", [0.6, 0.61, 0.62])
    shuffled = scored(ledger).sample(frac=1, random_state=1)
    table = paired_scores(shuffled)
    assert table.seeds == (0, 1, 2)
    order = [table.methods.index(method) for method in ("adam", "sgd")]
    np.testing.assert_allclose(table.values[order], [[0.5, 0.51, 0.52], [0.6, 0.61, 0.62]])


def test_two_trials_of_one_seed_are_refused(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add("sgd", 0, 0.5, rate=0.1)
    ledger.add("sgd", 0, 0.6, rate=0.2)
    with pytest.raises(UserError, match="two trials of seed 0"):
        paired_scores(scored(ledger))
