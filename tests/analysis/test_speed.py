import math

import numpy as np
import pytest

from analysis.load import load_trials
from analysis.speed import profile, times_to_target
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Role, Status

FAST, SLOW, MISS = [0.5, 0.8, 0.9, 0.9], [0.1, 0.2, 0.5, 0.85], [0.1, 0.2, 0.3, 0.79]


def speeds(ledger):
    return times_to_target(load_trials(ledger.finish()))


def add(ledger, method, *curves, **changes):
    for seed, curve in enumerate(curves):
        ledger.add(method, seed, 0.9, curve=curve, **changes)


def test_times_are_those_of_the_first_epoch_at_the_target(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "adam", FAST, SLOW, cost=40, seconds=8.0)
    (row,) = speeds(ledger)
    assert row.target_accuracy == 0.8
    assert (row.epochs.median, row.steps.median, row.seconds.median) == (3, 30, 6)
    assert row.epochs.success.estimate == 1


def test_a_miss_counts_and_costs_what_it_spent(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "adam", FAST, MISS, MISS)
    (row,) = speeds(ledger)
    assert row.epochs.median == math.inf
    assert row.epochs.expected == 2 + 4 + 4
    assert row.epochs.success.estimate == pytest.approx(1 / 3)


def test_a_run_that_diverged_or_broke_is_a_miss(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "adam", FAST)
    ledger.add("adam", 1, Status.DIVERGED, epochs_done=1, epoch_seconds=[0.5])
    ledger.add("adam", 2, Status.FAILED, epochs_done=None, steps=None, epoch_seconds=None,
               validation_accuracy_curve=None)  # fmt: skip
    ledger.add("adam", 3, None)
    (row,) = speeds(ledger)
    assert row.epochs.success.estimate == pytest.approx(1 / 3)
    assert row.epochs.expected == 3


def test_an_epoch_without_a_score_reaches_nothing(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "adam", [np.nan, 0.5, np.nan, 0.9])
    assert speeds(ledger)[0].epochs.median == 4


def test_test_accuracy_is_never_looked_at(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add("adam", 0, 0.99, curve=MISS)
    assert speeds(ledger)[0].epochs.median == math.inf


def test_searches_are_left_out(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "adam", FAST, role=Role.SEARCH)
    assert speeds(ledger) == []


def test_profiles_compare_methods_on_the_workloads_that_all_ran(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    for workload in ("a", "b"):
        add(ledger, "fast", FAST, workload=workload)
        add(ledger, "slow", SLOW, workload=workload)
    add(ledger, "fast", FAST, workload="c")
    found = profile(speeds(ledger))
    assert (found.workloads, found.left_out) == (["a", "b"], ["c"])
    scores = {score.method: score for score in found.scores}
    assert scores["fast"].exact == (1, 1, 1)
    assert scores["slow"].exact.score == pytest.approx(2 / 3)
    assert scores["slow"].exact.high == 1


def test_there_is_no_profile_without_a_common_workload(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "fast", FAST, workload="a")
    add(ledger, "slow", SLOW, workload="b")
    assert profile(speeds(ledger)) == ([], [], ["a", "b"])


def test_a_target_that_nobody_reached_scores_nobody(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    add(ledger, "x", MISS)
    add(ledger, "y", MISS)
    assert [score.exact.score for score in profile(speeds(ledger)).scores] == [0, 0]
