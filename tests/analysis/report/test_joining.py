"""Several studies told as one."""

import pytest

from analysis.load import load_searches, load_trials
from analysis.report.joining import joined_searches, joined_trials
from tests.ledgers import MadeUpLedger

NAMES = ["first", "second"]


@pytest.fixture
def ledgers(tmp_path):
    return [MadeUpLedger(tmp_path / name) for name in NAMES]


def trials(ledgers):
    return joined_trials([load_trials(each.finish()) for each in ledgers], NAMES)


def searches(ledgers):
    return joined_searches([load_searches(each.finish()) for each in ledgers], NAMES)


def test_methods_of_two_studies_stand_side_by_side(ledgers):
    ledgers[0].add_method("adam", [0.5, 0.6])
    ledgers[1].add_method("sgd", [0.4, 0.5])
    assert list(trials(ledgers)["method"]) == ["adam", "adam", "sgd", "sgd"]


def test_a_trial_that_both_want_is_one_and_is_the_one_that_was_run(ledgers):
    ledgers[0].add_method("adam", [None, 0.6])
    ledgers[1].add_method("adam", [0.5, None])
    found = trials(ledgers)
    assert found["test_accuracy"].tolist() == [0.6, 0.5]
    assert set(found["method"]) == {"adam"}


def test_one_name_for_different_trials_is_told_apart(ledgers):
    ledgers[0].add("adam", 0, 0.5)
    ledgers[1].add("adam", 0, 0.6, rate=0.2)
    assert list(trials(ledgers)["method"]) == ["adam (first)", "adam (second)"]


def test_the_same_search_in_both_is_one(ledgers):
    for each in ledgers:
        each.add_search("adamw", [0.1, 0.2])
    assert len(searches(ledgers)) == 2


def test_a_search_that_went_two_ways_is_two(ledgers):
    ledgers[0].add_search("adamw", [0.1, 0.2])
    rows = ledgers[1].add_search("adamw", [0.3, 0.4], repeat=1)
    for row in rows:
        row.update(search_id="adamw-random-digits-cnn-0", repeat=0)
    ledgers[1].ledger.record_proposals("adamw-random-digits-cnn-1", [])
    ledgers[1].ledger.record_proposals("adamw-random-digits-cnn-0", rows)
    found = searches(ledgers)
    assert len(found) == 4
    assert not found.duplicated(["search_id", "index"]).any()


def test_a_study_without_searches_changes_nothing(ledgers):
    ledgers[0].add_method("adam", [0.5])
    ledgers[1].add_search("adamw", [0.1, 0.2])
    assert searches(ledgers)["test_accuracy"].tolist() == [0.1, 0.2]
    assert len(trials(ledgers)) == 1
