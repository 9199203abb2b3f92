"""Samplers side by side: whole searches, ranks, tests."""

import numpy as np
import pytest
from scipy import stats

from analysis.intervals import Interval
from analysis.load import load_searches, load_trials
from analysis.samplers import (
    Found,
    best_so_far,
    found_by_samplers,
    pairs_of_samplers,
    rank_sum_p_value,
    ranks_over_spaces,
    whole_searches,
)
from analysis.scores import floors
from analysis.searches import tuned_baselines
from tests.ledgers import MadeUpLedger


def baselines(folder):
    trials, searches = load_trials(folder), load_searches(folder)
    return tuned_baselines(searches, trials, floors(trials, searches))


@pytest.fixture
def folder(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    for repeat in range(5):
        low = 0.1 + 0.01 * repeat
        ledger.add_search("adamw", [low, low + 0.1, low + 0.05], repeat=repeat)
        ledger.add_search("adamw", [low + 0.3, 0.2, low + 0.4], repeat=5 + repeat, sampler="tpe")
    ledger.add_search("sgd", [0.5, 0.4])
    return ledger.finish()


def test_independent_draws_are_cut_back_into_searches(folder):
    random = baselines(folder)[0]
    selection, score = whole_searches(random)
    assert selection.shape == score.shape == (5, 3)
    assert score[2] == pytest.approx([0.12, 0.22, 0.17])


def test_the_best_so_far_is_what_validation_selects(folder):
    curves = {curve.label: curve for curve in best_so_far(baselines(folder))}
    assert curves["adamw random"].mean == pytest.approx([0.12, 0.22, 0.22])
    assert curves["adamw tpe"].mean == pytest.approx([0.42, 0.42, 0.52])
    assert curves["adamw tpe"].low[-1] == pytest.approx(0.5)  # the range over five repeats
    assert curves["adamw tpe"].gradient_evaluations == pytest.approx([40, 80, 120])


def test_ranks_are_of_samplers_that_searched_one_space(folder):
    found = found_by_samplers(baselines(folder))
    assert {row.label: row.rank for row in found} == {"adamw random": 2, "adamw tpe": 1}
    assert found[1].mean.estimate == pytest.approx(0.52)


def test_a_long_random_search_is_cut_into_searches_as_long_as_its_rivals(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_search("adamw", [0.1, 0.2, 0.4, 0.3, 0.5])
    ledger.add_search("adamw", [0.1, 0.6], repeat=1, sampler="tpe")
    random, tpe = found_by_samplers(baselines(ledger.finish()))
    assert (random.num_trials, random.num_repeats) == (2, 2)
    assert random.scores.tolist() == [0.2, 0.4]
    assert tpe.scores.tolist() == [0.6]


def test_ranks_take_five_spaces_and_three_samplers():
    found = [
        Found(f"w{block}", "s", f"s {name}", 1, 4, np.array([score]), Interval(score, 0, 1), 1)
        for block in range(5)
        for name, score in (("tpe", 0.6), ("random", 0.4), ("cmaes", 0.5 + 0.1 * (block == 0)))
    ]
    ranks = ranks_over_spaces(found)
    assert ranks.samplers == ("cmaes", "random", "tpe")
    assert ranks.ranking.mean_ranks == pytest.approx([1.9, 3, 1.1])
    assert ranks_over_spaces(found[3:]) is None
    assert ranks_over_spaces([]) is None


def test_pairs_are_tested_on_whole_searches(folder):
    (pair,) = pairs_of_samplers(found_by_samplers(baselines(folder)))
    assert (pair.first, pair.second) == ("adamw random", "adamw tpe")
    assert pair.difference == pytest.approx(-0.3)
    assert pair.probability_first_better == 0
    assert pair.rank_sum_p == pytest.approx(2 / 252)  # the most extreme of C(10, 5) orders
    assert pair.holm_p == pair.rank_sum_p


def test_the_rank_sum_test_is_scipys_and_needs_two_of_each():
    first, second = np.array([1.0, 3, 5, 7]), np.array([2.0, 4, 6])
    assert rank_sum_p_value(first, second) == stats.mannwhitneyu(first, second).pvalue
    assert np.isnan(rank_sum_p_value(first, second[:1]))
    assert rank_sum_p_value(first * 0, second * 0) == 1
