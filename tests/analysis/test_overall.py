import numpy as np
import pytest

from analysis.load import load_trials
from analysis.overall import overall
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status

NOISE = np.random.default_rng(0).normal(0, 0.01, (6, 10))


def study(tmp_path, workloads, better=0.05):
    ledger = MadeUpLedger(tmp_path)
    for place, workload in enumerate(workloads):
        base = [0.5 + 0.05 * place + float(d) for d in NOISE[place]]
        ledger.add_method("base", base, workload=workload)
        ledger.add_method("good", [value + better for value in base], workload=workload)
        ledger.add_method("bad", [value - 0.1 for value in base], workload=workload)
    return ledger


def over(ledger, reference="base"):
    return overall(load_trials(ledger.finish()), reference)


def test_scores_are_scaled_between_guessing_and_no_error(tmp_path):
    found = over(study(tmp_path, "ab"))
    good = found.methods.index("good")
    assert found.across.iqm_difference[good].estimate == pytest.approx(0.05 / 0.9)
    assert found.across.iqm_difference[good].low > 0
    assert found.improvement[good] == 1
    assert found.improvement[found.methods.index("base")] == 0.5


def test_only_seeds_that_all_methods_ran_everywhere_are_used(tmp_path):
    ledger = study(tmp_path, "ab")
    ledger.add_method("late", [*[0.6] * 7, None, None, None], workload="a")
    ledger.add_method("late", [0.6] * 10, workload="b")
    assert over(ledger).num_seeds == 7
    assert over(ledger).seeds_told == "7 seeds common to all of up to 10"
    assert over(study(tmp_path / "whole", "ab")).seeds_told == "10 seeds common to all"


def test_a_method_that_lacks_a_workload_is_left_out(tmp_path):
    ledger = study(tmp_path, "ab")
    ledger.add_method("local", [0.6] * 10, workload="a")
    found = over(ledger)
    assert "local" not in found.methods
    assert found.left_out == ["local"]
    assert found.num_seeds == 10


def test_a_diverged_run_counts(tmp_path):
    ledger = study(tmp_path, "ab")
    ledger.add_method("unstable", [*[0.7] * 5, *[Status.DIVERGED] * 5], workload="a")
    ledger.add_method("unstable", [0.7] * 10, workload="b")
    found = over(ledger)
    place = found.methods.index("unstable")
    assert found.num_seeds == 10
    assert found.improvement[place] == pytest.approx(0.75)


@pytest.mark.parametrize("workloads", ["a"])
def test_one_workload_is_not_many(tmp_path, workloads):
    assert over(study(tmp_path, workloads)) is None


def test_methods_are_ranked_from_five_workloads_on(tmp_path):
    assert over(study(tmp_path / "4", "abcd")).ranking is None
    ranking = over(study(tmp_path / "5", "abcde")).ranking
    found = over(study(tmp_path / "6", "abcde"))
    assert ranking.p_value < 0.05
    assert dict(zip(found.methods, found.ranking.mean_ranks, strict=True)) == {
        "good": 1, "base": 2, "bad": 3,
    }  # fmt: skip
