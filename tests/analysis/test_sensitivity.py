"""Scores over the rate: bins, the width of the good range, the edge."""

import numpy as np
import pytest

from analysis.intervals import wilson_interval
from analysis.load import load_searches, load_trials
from analysis.scores import floors, with_scores
from analysis.sensitivity import RateBin, good_width, is_near_edge, rate_bins, sensitivities
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status


def a_bin(low, high, score):
    return RateBin((low * high) ** 0.5, low, high, 4, score, wilson_interval(0, 4))


def found(folder):
    trials, searches = load_trials(folder), load_searches(folder)
    floor = floors(trials, searches)
    return sensitivities(with_scores(trials, floor), with_scores(searches, floor))


def test_few_rates_that_come_often_stand_alone():
    assert rate_bins([0.1, 0.01, 0.1, 0.01]).tolist() == [1, 0, 1, 0]


def test_rates_of_a_search_are_put_together_by_thirds_of_a_decade():
    rates = np.geomspace(1e-4, 0.99e-1, 30)
    places = rate_bins(rates)
    assert len(set(places.tolist())) == 9
    assert np.all(np.diff(places) >= 0)


def test_the_good_range_reaches_as_far_as_scores_hold():
    bins = [a_bin(1e-4, 2e-4, 0.3), a_bin(1e-3, 2e-3, 0.895), a_bin(1e-2, 2e-2, 0.9)]
    assert good_width(bins) == pytest.approx(np.log10(20))
    assert good_width(bins, tolerance=0.001) == pytest.approx(np.log10(2))


def test_a_gap_ends_the_good_range():
    bins = [a_bin(1e-4, 1e-4, 0.9), a_bin(1e-3, 1e-3, 0.2), a_bin(1e-2, 1e-2, 0.9)]
    assert good_width(bins) == 0


def test_the_outer_tenth_is_the_edge():
    assert is_near_edge(1.1e-4, 1e-4, 1e-1)
    assert is_near_edge(0.99e-1, 1e-4, 1e-1)
    assert not is_near_edge(3e-3, 1e-4, 1e-1)


def test_a_search_that_does_best_at_its_highest_rate_is_at_the_edge(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_search("adamw", [0.1 + 0.02 * i for i in range(20)])
    (each,) = found(ledger.finish())
    assert each.name == "adamw random"
    assert each.num_trials == 20
    assert each.best_rate == pytest.approx(0.02)
    assert each.is_at_edge


def test_divergence_is_a_share_and_counts_as_the_floor(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_search("adamw", [0.8] * 4 + [Status.DIVERGED] * 4)
    (each,) = found(ledger.finish())
    last = each.bins[-1]
    assert last.diverged.estimate == 1
    assert last.median_score == pytest.approx(0.1)
    assert sum(b.num_trials for b in each.bins) == 8


def test_the_same_method_at_several_rates_is_one_family(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    for rate, accuracy in ((0.001, 0.5), (0.01, 0.7)):
        for seed in range(3):
            ledger.add("sgd", seed, accuracy, rate=rate, name=f"sgd lr={rate}")
    ledger.add_method("alone", [0.5, 0.6])
    (each,) = found(ledger.finish())
    assert each.name == "sgd lr"
    assert [(b.rate, b.median_score) for b in each.bins] == [
        (pytest.approx(0.001), 0.5),
        (pytest.approx(0.01), 0.7),
    ]


def test_nothing_completed_has_no_best_rate(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_search("adamw", [Status.DIVERGED] * 8)
    (each,) = found(ledger.finish())
    assert each.best_rate is None
    assert each.good_decades is None
    assert not each.is_at_edge


def test_workloads_come_in_the_studys_order(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add("sgd", 0, 0.5, workload="mnist-cnn")
    for workload in ("cifar10-cnn", "mnist-cnn"):
        ledger.add_search("adamw", [0.5, 0.6, 0.7, 0.6], workload=workload)
        for rate in (0.1, 0.2):
            ledger.add("adam", 0, 0.5, workload=workload, rate=rate, name=f"adam-{rate}")
    order = [(each.workload, each.name) for each in found(ledger.finish())]
    assert [workload for workload, _ in order] == ["mnist-cnn"] * 2 + ["cifar10-cnn"] * 2
