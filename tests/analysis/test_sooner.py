"""Who is at the target sooner, on curves of which everything is known."""

import math

import pytest

from analysis.load import load_trials
from analysis.sooner import sooner_than_each
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Role, Status

EARLY, LATE, MISS = [0.85, 0.9, 0.9, 0.9], [0.1, 0.5, 0.85, 0.9], [0.1, 0.1, 0.1, 0.7]
"""The target of made-up trials is 0.8."""


@pytest.fixture
def ledger(tmp_path):
    return MadeUpLedger(tmp_path / "study")


def pairs(ledger, method="metalr"):
    return {each.rival: each for each in sooner_than_each(load_trials(ledger.finish()), method)}


def add(ledger, method, curves):
    for seed, curve in enumerate(curves):
        if curve is not None:
            ledger.add(method, seed, 0.9, curve=curve)


def test_seeds_are_counted_one_by_one(ledger):
    add(ledger, "metalr", [EARLY, EARLY, LATE, MISS, LATE])
    add(ledger, "adam", [LATE, MISS, EARLY, MISS, LATE])
    pair = pairs(ledger)["adam"]
    assert pair.num_pairs == 5
    assert (pair.sooner, pair.later, pair.neither) == (2, 1, 1)
    assert (pair.median_epochs, pair.rivals_median_epochs) == (3, 3)


def test_only_common_seeds_count(ledger):
    add(ledger, "metalr", [EARLY, EARLY, None])
    add(ledger, "adam", [LATE, None, LATE])
    add(ledger, "elsewhere", [None, None, LATE])
    found = pairs(ledger)
    assert set(found) == {"adam"}
    assert (found["adam"].num_pairs, found["adam"].sooner) == (1, 1)


def test_two_that_never_get_there_are_not_level(ledger):
    add(ledger, "metalr", [MISS, MISS])
    add(ledger, "adam", [MISS, MISS])
    pair = pairs(ledger)["adam"]
    assert (pair.sooner, pair.later, pair.neither) == (0, 0, 2)
    assert math.isnan(pair.sign_p)
    assert math.isinf(pair.median_epochs)


def test_a_run_that_broke_has_not_got_there(ledger):
    add(ledger, "metalr", [EARLY])
    ledger.add("adam", 0, Status.DIVERGED)
    assert pairs(ledger)["adam"].sooner == 1


def test_the_sign_test_is_corrected_for_the_number_of_rivals(ledger):
    add(ledger, "metalr", [EARLY] * 8)
    add(ledger, "adam", [LATE] * 8)
    alone = pairs(ledger)["adam"].sign_p
    assert alone == pytest.approx(2 / 2**8)
    add(ledger, "sgd", [EARLY] * 8)
    assert pairs(ledger)["adam"].sign_p == pytest.approx(2 * alone)


def test_searches_and_methods_that_are_not_there_say_nothing(ledger):
    add(ledger, "metalr", [EARLY])
    ledger.add("tuned", 0, 0.9, role=Role.FINAL, curve=EARLY)
    assert pairs(ledger) == {}
    assert pairs(ledger, "absent") == {}
