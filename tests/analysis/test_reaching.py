"""Shares of runs at the target, and profiles over workloads."""

import pytest

from analysis.load import load_trials
from analysis.reaching import reached_by_epoch, workload_profiles
from analysis.speed import times_to_target
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status


@pytest.fixture
def trials(tmp_path):
    """The target is 0.8: `fast` is there after one epoch, `slow` after two or never."""
    ledger = MadeUpLedger(tmp_path / "study")
    for workload in ("digits-cnn", "mnist-cnn"):
        for seed in range(4):
            ledger.add("fast", seed, 0.9, workload=workload, curve=[0.85, 0.9, 0.9, 0.9])
        ledger.add("slow", 0, 0.9, workload=workload, curve=[0.1, 0.85, 0.9, 0.9])
        ledger.add("slow", 1, Status.DIVERGED, workload=workload)
        ledger.add("slow", 2, 0.9, workload=workload, curve=[0.1, 0.85, 0.7, 0.7])
        ledger.add("slow", 3, None, workload=workload)
    return load_trials(ledger.finish())


def test_the_share_counts_every_run_that_was_started(trials):
    fast, slow = reached_by_epoch(trials)[:2]
    assert fast.share.tolist() == [0, 1, 1, 1, 1]
    assert slow.num_runs == 3
    assert slow.share == pytest.approx([0, 0, 2 / 3, 2 / 3, 2 / 3])
    assert slow.epochs.tolist() == [0, 1, 2, 3, 4]


def test_profiles_rise_from_the_fastest_on(trials):
    fast, slow = workload_profiles(times_to_target(trials))
    assert fast.share.tolist() == [1] * len(fast.taus)
    assert slow.share[0] == 0
    assert slow.share[-1] == 1
    assert slow.taus[slow.share.argmax()] == pytest.approx(2)


def test_one_workload_has_no_profile(trials):
    one = trials[trials["workload"] == "digits-cnn"]
    assert workload_profiles(times_to_target(one)) == []
