import math

import numpy as np
import pytest

from analysis.catching_up import LEADS_AT, catching_up
from analysis.load import load_searches, load_trials
from analysis.matching import NEVER
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Role, Status

RANDOM = np.random.default_rng(0)
SEARCH = [float(a) for a in RANDOM.beta(4, 2, 64)]


def rows(ledger):
    folder = ledger.finish()
    return {
        (row.method, row.baseline.label): row
        for row in catching_up(load_trials(folder), load_searches(folder)).rows
    }


def study(tmp_path, accuracies, search=SEARCH, **changes):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", accuracies)
    ledger.add_search("adamw", search, **changes)
    return ledger


def seeds(mean):
    return [mean + d for d in (-0.01, -0.005, 0.0, 0.0, 0.005, 0.01, -0.002, 0.002, 0.004, -0.004)]


def test_the_budget_is_where_the_expected_best_reaches_the_mean(tmp_path):
    row = rows(study(tmp_path, seeds(0.8)))["metalr", "adamw random"]
    draws = np.random.default_rng(1)
    best = [
        np.mean([draws.choice(SEARCH, n, replace=False).max() for _ in range(4000)])
        for n in range(1, 17)
    ]
    assert row.trials.budget == next(n for n, score in enumerate(best, start=1) if score >= 0.8)
    assert row.trials.low <= row.trials.budget <= row.trials.high
    assert row.trials.within == 16
    assert row.num_seeds == 10


def test_a_method_that_no_trial_reaches_is_never_matched(tmp_path):
    row = rows(study(tmp_path, seeds(0.99)))["metalr", "adamw random"]
    assert (row.trials.budget, row.trials.low) == (NEVER, NEVER)
    assert row.trials.more_than == 16
    assert row.cost_ratio.budget == NEVER


def test_costs_count_every_trial_and_are_told_in_runs_of_the_method(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", seeds(0.8), cost=80)
    ledger.add_search("adamw", SEARCH, cost=40)
    row = rows(ledger)["metalr", "adamw random"]
    assert row.gradient_evaluations.budget == pytest.approx(40 * row.trials.budget)
    assert row.cost_ratio.budget == pytest.approx(row.trials.budget / 2)
    assert row.device_seconds.budget == pytest.approx(2.5 * row.trials.budget)


def test_leads_stand_beside_every_budget_as_far_as_the_trials_reach(tmp_path):
    leads = rows(study(tmp_path, seeds(0.8)))["metalr", "adamw random"].leads
    assert list(leads) == list(LEADS_AT)
    assert leads[1].estimate > leads[4].estimate > leads[16].estimate
    assert leads[1].low < leads[1].estimate < leads[1].high
    assert leads[64] is None


def test_few_repeats_of_an_adaptive_search_give_a_range(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", seeds(0.65))
    ledger.add_search("adamw", [0.5, 0.6, 0.7, 0.7], sampler="tpe", repeat=0)
    ledger.add_search("adamw", [0.2, 0.3, 0.4, 0.9], sampler="tpe", repeat=1)
    row = rows(ledger)["metalr", "adamw tpe"]
    assert row.is_range
    assert (row.trials.budget, row.trials.low, row.trials.high) == (4, 3, 4)
    assert row.trials.more_than == 0
    assert row.leads[1] == pytest.approx((0.3, 0.15, 0.45))


def test_enough_repeats_of_an_adaptive_search_give_an_interval(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", seeds(0.65))
    for repeat in range(10):
        accuracies = [0.3 + 0.01 * repeat, 0.5 + 0.01 * repeat, 0.7, 0.75 + 0.01 * repeat]
        ledger.add_search("adamw", accuracies, sampler="tpe", repeat=repeat)
    row = rows(ledger)["metalr", "adamw tpe"]
    assert not row.is_range
    assert row.trials.budget == 3


def test_selected_configuration_and_deployed_model_are_two_answers(tmp_path):
    """The search's winner was lucky: on fresh seeds it scores less."""
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", seeds(0.7))
    for repeat in range(2):
        ledger.add_search("adamw", [0.5, 0.8], sampler="tpe", repeat=repeat)
        for seed in range(3):
            ledger.add("adamw", seed, 0.65, role=Role.FINAL, rate=0.002 + 0.0001 * repeat)
    row = rows(ledger)["metalr", "adamw tpe"]
    assert row.trials.budget == NEVER
    assert row.deployed.budget == 2
    assert row.rerun_share == 1


def test_one_untuned_seed_leaves_everything_open(tmp_path):
    row = rows(study(tmp_path, [0.8]))["metalr", "adamw random"]
    assert (row.trials.low, row.trials.high) == (1, NEVER)
    assert row.trials.more_than == 0
    assert row.deployed is None
    assert math.isinf(row.leads[1].high)


def test_a_method_that_always_diverged_is_matched_at_once(tmp_path):
    row = rows(study(tmp_path, [Status.DIVERGED] * 10))["metalr", "adamw random"]
    assert (row.trials.budget, row.trials.low) == (1, 1)


def test_a_search_that_always_diverged_does_not_show_that_it_always_will(tmp_path):
    row = rows(study(tmp_path, seeds(0.8), [Status.DIVERGED] * 64))["metalr", "adamw random"]
    assert (row.trials.budget, row.trials.low, row.trials.high) == (NEVER, 1, NEVER)
    assert row.trials.more_than == 0


def test_a_search_whose_trials_all_broke_at_once_has_no_costs(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", seeds(0.8))
    ledger.add_search("adamw", [Status.FAILED] * 16, gradient_evaluations=0, train_seconds=0.0,
                      evaluation_seconds=0.0)  # fmt: skip
    row = rows(ledger)["metalr", "adamw random"]
    assert (row.gradient_evaluations, row.device_seconds, row.cost_ratio) == (None, None, None)


def test_runs_that_break_off_early_do_not_make_a_method_cheap(tmp_path):
    plain = study(tmp_path / "plain", seeds(0.8))
    broken = study(tmp_path / "broken", seeds(0.8))
    for seed in (10, 11, 12):
        broken.add("metalr", seed, Status.DIVERGED, cost=2)
    ratios = [rows(ledger)["metalr", "adamw random"].cost_ratio for ledger in (plain, broken)]
    assert ratios[1].within == ratios[0].within


def test_what_has_no_row_has_a_reason(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("metalr", seeds(0.8), workload="a")
    ledger.add_search("adamw", SEARCH[:7], workload="a")
    ledger.add_search("adamw", SEARCH, workload="b")
    ledger.add_search("adamw", [None], sampler="tpe", repeat=1, workload="a")
    folder = ledger.finish()
    reasons = catching_up(load_trials(folder), load_searches(folder)).left_out
    assert sorted(reasons) == [
        "a, 'adamw random': 7 trials have ended; a curve takes 8.",
        "a, 'adamw tpe': no trial has ended yet.",
        "b, 'adamw random': no untuned method has run on this workload.",
    ]


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED, Status.PRUNED])
def test_a_run_more_that_fails_never_helps(tmp_path, status):
    plain = rows(study(tmp_path / "plain", seeds(0.8)))["metalr", "adamw random"]
    worse = rows(study(tmp_path / "search", seeds(0.8), [*SEARCH, status]))[
        "metalr", "adamw random"
    ]
    method = rows(study(tmp_path / "method", [*seeds(0.8), status]))["metalr", "adamw random"]
    assert worse.trials.budget >= plain.trials.budget
    assert worse.gradient_evaluations.budget >= plain.gradient_evaluations.budget
    assert worse.leads[4].estimate > plain.leads[4].estimate
    assert method.trials.budget <= plain.trials.budget
    assert method.leads[4].estimate < plain.leads[4].estimate


def test_a_random_search_of_a_few_trials_has_no_curve(tmp_path):
    assert rows(study(tmp_path, seeds(0.8), SEARCH[:7])) == {}
    assert rows(study(tmp_path / "8", seeds(0.8), SEARCH[:8])) != {}


def test_one_trial_of_an_adaptive_search_is_an_answer(tmp_path):
    row = rows(study(tmp_path, seeds(0.5), [0.6], sampler="tpe"))["metalr", "adamw tpe"]
    assert (row.trials.budget, row.trials.within) == (1, 1)
    assert row.is_range


def test_searches_answer_for_their_own_workload_alone(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    for workload in ("a", "b"):
        ledger.add_method("metalr", seeds(0.8), workload=workload)
        ledger.add_search("adamw", SEARCH, workload=workload)
    folder = ledger.finish()
    found = catching_up(load_trials(folder), load_searches(folder)).rows
    assert [row.baseline.workload for row in found] == ["a", "b"]


def test_finals_are_no_untuned_method(tmp_path):
    ledger = study(tmp_path, seeds(0.8))
    ledger.add_method("tuned", seeds(0.8), role=Role.FINAL)
    assert {method for method, _ in rows(ledger)} == {"metalr"}
