import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.choices import AnalysisChoices
from analysis.comparison import Verdict, compare_methods
from analysis.intervals import mean_interval
from analysis.load import load_choices, load_trials
from tests.ledgers import MadeUpLedger
from tune_metalr.errors import UserError
from tune_metalr.trial import Status

BASE = [0.80, 0.81, 0.79, 0.82, 0.80, 0.78, 0.81, 0.80, 0.79, 0.81]


def compared(ledger, **choices):
    folder = ledger.finish()
    family = compare_methods(load_trials(folder), load_choices(folder).changed(**choices))
    return {row.method: row for row in family.comparisons}


def with_base(tmp_path, **methods):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("base", BASE)
    for name, accuracies in methods.items():
        ledger.add_method(name, accuracies)
    return ledger


def shifted(points, wobble=0.001):
    return [b + points / 100 + wobble * (-1) ** i for i, b in enumerate(BASE)]


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        (3.0, Verdict.BETTER),
        (-3.0, Verdict.WORSE),
        (0.0, Verdict.EQUIVALENT),
    ],
)
def test_a_verdict_says_what_the_seeds_show(tmp_path, points, verdict):
    row = compared(with_base(tmp_path, rival=shifted(points)))["rival"]
    assert row.verdict == verdict
    assert row.difference.low <= points / 100 <= row.difference.high
    assert row.num_pairs == 10


def test_an_interval_that_holds_zero_claims_no_difference(tmp_path):
    """With one seed far out, the sign-flip test alone would tell one."""
    gaps = [-50, -5, -107, -107, 19, -74, -118, -87, -87, 57]
    rival = [b + gap / 10_000 for b, gap in zip(BASE, gaps, strict=True)]
    row = compared(with_base(tmp_path, rival=rival), margin=0.001)["rival"]
    assert row.holm_p <= 0.05
    assert row.difference.low < 0 < row.difference.high
    assert row.verdict == Verdict.UNDECIDED


def test_no_difference_found_is_not_equality(tmp_path):
    noisy = [b + d for b, d in zip(BASE, np.random.default_rng(0).normal(0, 0.05, 10), strict=True)]
    row = compared(with_base(tmp_path, rival=noisy))["rival"]
    assert row.holm_p > 0.05
    assert row.verdict == Verdict.UNDECIDED


def test_as_good_or_better_is_shown_not_assumed(tmp_path):
    """Mostly far better, so not equivalent; too few seeds for 'better' after Holm."""
    better = [b + d for b, d in zip(BASE[:6], (0.2, 0.0, 0.3, 0.0, 0.2, 0.0), strict=True)]
    row = compared(with_base(tmp_path, rival=better), margin=0.01)["rival"]
    assert row.verdict == Verdict.NON_INFERIOR


def test_the_margin_can_be_each_workloads_own(tmp_path):
    worse = [b + d for b, d in zip(BASE, (-0.006, -0.004) * 5, strict=True)]
    ledger = MadeUpLedger(tmp_path)
    for workload in ("strict", "lax"):
        ledger.add_method("base", BASE, workload=workload)
        ledger.add_method("rival", worse, workload=workload)
    margins = {"strict": 0.001, "lax": 0.02}
    family = compare_methods(
        load_trials(ledger.finish()),
        AnalysisChoices(reference="base", margin=margins),
    )
    passed = {row.workload: row.non_inferiority_p < 0.05 for row in family.comparisons}
    assert passed == {"strict": False, "lax": True}
    assert AnalysisChoices(margin=margins).margins_told(["lax"]) == "2 points on lax"
    with pytest.raises(UserError, match="say nothing of 'c'"):
        AnalysisChoices(margin=margins).margin_on("c")


def test_holm_counts_every_comparison_of_the_family(tmp_path):
    rivals = {f"r{i}": shifted(3.0) for i in range(5)}
    rows = compared(with_base(tmp_path, **rivals))
    assert all(row.sign_flip_p == 2 / 2**10 for row in rows.values())
    assert all(row.holm_p == pytest.approx(5 * 2 / 2**10) for row in rows.values())


def test_the_family_can_be_each_workload(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    for workload in ("a", "b"):
        ledger.add_method("base", BASE, workload=workload)
        ledger.add_method("rival", shifted(3.0), workload=workload)
    assert compared(ledger)["rival"].holm_p == pytest.approx(2 * 2 / 2**10)
    assert compared(ledger, family="workload")["rival"].holm_p == pytest.approx(2 / 2**10)


def test_a_diverged_run_stays_in_its_pair(tmp_path):
    accuracies = shifted(3.0)
    accuracies[4] = Status.DIVERGED
    row = compared(with_base(tmp_path, rival=accuracies))["rival"]
    assert row.num_pairs == 10
    assert row.difference.estimate < 0


def test_a_missing_run_leaves_its_pair_out_and_is_counted(tmp_path):
    row = compared(with_base(tmp_path, rival=[*shifted(3.0)[:9], None]))["rival"]
    assert (row.num_pairs, row.num_missing) == (9, 1)
    assert row.difference.estimate == pytest.approx(0.03, abs=0.001)


def test_methods_with_other_seeds_are_not_paired(tmp_path):
    ledger = with_base(tmp_path)
    for seed in range(20, 30):
        ledger.add("rival", seed, 0.9)
    row = compared(ledger)["rival"]
    assert row.verdict == Verdict.UNPAIRED
    assert (row.num_pairs, row.num_missing, row.num_alone) == (0, 0, 20)
    assert row.difference is None
    assert math.isnan(row.holm_p)


def test_one_seed_shows_nothing(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    ledger.add_method("base", [0.8])
    ledger.add_method("rival", [0.9])
    row = compared(ledger)["rival"]
    assert row.difference == (pytest.approx(0.1), -math.inf, math.inf)
    assert row.holm_p == 1
    assert row.verdict == Verdict.UNDECIDED


def test_ties_everywhere_are_equal_and_not_different(tmp_path):
    row = compared(with_base(tmp_path, rival=BASE))["rival"]
    assert row.difference == (0, 0, 0)
    assert row.holm_p == 1
    assert row.verdict == Verdict.EQUIVALENT
    assert row.probability_of_improvement == 0.5


def test_two_methods_that_always_diverge_have_no_difference(tmp_path):
    ledger = MadeUpLedger(tmp_path)
    for name in ("base", "rival"):
        ledger.add_method(name, [Status.DIVERGED] * 10)
    row = compared(ledger)["rival"]
    assert row.verdict == Verdict.WITHOUT_SCORE
    assert (row.num_pairs, row.num_without_score) == (0, 10)
    assert row.difference is None


def test_failing_together_does_not_make_two_methods_alike(tmp_path):
    plain = with_base(tmp_path / "plain", rival=shifted(-1.2))
    failing = with_base(tmp_path / "failing", rival=shifted(-1.2))
    for seed in range(10, 20):
        for method in ("base", "rival"):
            failing.add(method, seed, Status.DIVERGED)
    first, second = (compared(ledger)["rival"] for ledger in (plain, failing))
    assert second.difference == first.difference
    assert second.non_inferiority_p == first.non_inferiority_p
    assert second.num_without_score == 10


def test_the_seeds_that_a_family_needs_are_told(tmp_path):
    ledger = with_base(tmp_path, **{f"r{i}": shifted(1) for i in range(5)})
    folder = ledger.finish()
    assert compare_methods(load_trials(folder), AnalysisChoices()).seeds_needed == 8


def test_the_study_names_its_reference_and_a_user_another(tmp_path):
    ledger = MadeUpLedger(tmp_path, reference="b", margin=0.02)
    for name in "abc":
        ledger.add_method(name, BASE)
    assert set(compared(ledger)) == {"a", "c"}
    assert set(compared(ledger, reference="c")) == {"a", "b"}
    assert load_choices(tmp_path).margin == 0.02


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"reference": "bose"}, "did you mean 'base'"),
        ({"margin": 0.0}, "margin must lie between 0 and 1"),
        ({"alpha": 2.0}, "alpha must lie between 0 and 1"),
    ],
)
def test_wrong_choices_are_named(tmp_path, choices, line):
    with pytest.raises(UserError, match=line):
        compared(with_base(tmp_path, rival=BASE), **choices)


def test_a_single_method_has_nothing_to_be_compared_with(tmp_path):
    with pytest.raises(UserError, match="has no rival"):
        compared(with_base(tmp_path))


@given(order=st.randoms(use_true_random=False), names=st.permutations(["x", "y", "z"]))
@settings(max_examples=15)
def test_neither_order_nor_names_change_anything(tmp_path_factory, order, names):
    folder = tmp_path_factory.mktemp("study")
    noise = np.random.default_rng(1).normal(0, 0.01, (3, 6))
    ledger = MadeUpLedger(folder, reference="base")
    ledger.add_method("base", BASE[:6])
    for name, row in zip(names, noise, strict=True):
        ledger.add_method(name, [b + float(d) for b, d in zip(BASE, row, strict=False)])
    trials = load_trials(ledger.finish())
    choices = load_choices(folder)
    expected = {row.method: row for row in compare_methods(trials, choices).comparisons}
    rows = list(range(len(trials)))
    order.shuffle(rows)
    shuffled = compare_methods(trials.iloc[rows], choices).comparisons
    assert {row.method: row for row in shuffled} == expected
    for name, row in zip(names, noise, strict=True):
        interval = mean_interval(row, np.random.default_rng(0))
        assert expected[name].difference == pytest.approx(interval)
