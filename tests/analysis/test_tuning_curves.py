"""Budget curves: the same numbers as budgets to match, with their bands."""

import numpy as np
import pytest

from analysis.budgets import independent_curve
from analysis.load import load_searches, load_trials
from analysis.scores import floors
from analysis.searches import tuned_baselines
from analysis.tuning_curves import UNITS, tuning_curves
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status

SCORES = [float(v) for v in np.random.default_rng(0).uniform(0.2, 0.6, 32)]


def curves(ledger):
    folder = ledger.finish()
    trials, searches = load_trials(folder), load_searches(folder)
    floor = floors(trials, searches)
    return tuning_curves(tuned_baselines(searches, trials, floor), floor)


@pytest.fixture
def ledger(tmp_path):
    return MadeUpLedger(tmp_path / "study")


def test_a_random_search_tells_to_a_quarter_of_its_trials(ledger):
    ledger.add_search("adamw", SCORES)
    (found,) = curves(ledger)
    trials = found.curves["trials"]
    assert trials.budgets.tolist() == list(range(1, 9))
    assert trials.score == pytest.approx(independent_curve(SCORES, SCORES).score)
    assert (trials.low < trials.score).all()
    assert set(found.curves) == set(UNITS)
    assert found.curves["gradient evaluations"].budgets[0] == 40
    assert found.curves["device-seconds"].budgets[0] == 2.5


def test_few_repeats_of_an_adaptive_search_have_a_range(ledger):
    for repeat, low in enumerate((0.2, 0.3)):
        ledger.add_search("adamw", [low, low + 0.1], sampler="tpe", repeat=repeat)
    (found,) = curves(ledger)
    assert found.is_range
    assert found.curves["trials"].score == pytest.approx([0.25, 0.35])
    assert found.curves["trials"].low == pytest.approx([0.2, 0.3])
    assert found.curves["trials"].high == pytest.approx([0.3, 0.4])


def test_a_search_that_has_hardly_begun_has_no_curve(ledger):
    ledger.add_search("adamw", [*SCORES[:7], *[None] * 9])
    assert curves(ledger) == []


def test_a_search_that_only_diverged_stays_at_the_floor(ledger):
    ledger.add_search("adamw", [Status.DIVERGED] * 8)
    (found,) = curves(ledger)
    assert found.curves["trials"].score == pytest.approx(0.1)
