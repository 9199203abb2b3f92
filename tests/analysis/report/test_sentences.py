"""The answer's sentences hold the numbers that the formulas give."""

import json

import pytest

from analysis.catching_up import catching_up
from analysis.load import load_searches
from analysis.report.numbers import compute
from analysis.report.sentences import (
    answers,
    completeness,
    matching_sentence,
    total_and_missing,
    warnings,
)
from analysis.report.study_data import load_study_data
from analysis.summary import summarize
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status


@pytest.fixture
def ledger(tmp_path):
    return MadeUpLedger(tmp_path / "study")


def numbers_of(ledger):
    data = load_study_data([ledger.finish()])
    return data, compute(data)


def test_a_method_is_told_with_its_interval_and_what_matches_it(ledger):
    ledger.add_method("metalr", [0.60, 0.61, 0.62])
    ledger.add_search("adamw", [0.01 * i for i in range(1, 65)])
    data, numbers = numbers_of(ledger)
    (told,) = answers(numbers)
    (row,) = summarize(data.trials)
    (match,) = catching_up(data.trials, data.searches).rows
    assert told.startswith("digits-cnn: metalr, 0 trials: 61.00 % [")
    assert f"{100 * row.score.low:.2f}, {100 * row.score.high:.2f}] (3 runs)." in told
    assert f"adamw random needs {match.trials.budget:.0f} trials [" in told
    assert told.endswith("one-sided 95 % bound.")


def test_a_baseline_that_never_matches_is_told_so(ledger):
    ledger.add_method("metalr", [0.9, 0.9, 0.91])
    ledger.add_search("adamw", [0.2 + 0.001 * i for i in range(16)])
    _, numbers = numbers_of(ledger)
    told = matching_sentence(numbers.answers.rows[0])
    assert told.startswith("adamw random does not match it within 4 trials [never, never]")
    assert "more than 4 by a one-sided 95 % bound" in told


def test_few_repeats_are_called_a_range(ledger):
    ledger.add_method("metalr", [0.5, 0.5, 0.51])
    for repeat in range(2):
        ledger.add_search("adamw", [0.4, 0.6], sampler="tpe", repeat=repeat)
    _, numbers = numbers_of(ledger)
    assert "needs 2 trials [2, 2] to match (range over repeats)." in answers(numbers)[0]


def test_a_single_adaptive_search_has_no_interval(ledger):
    ledger.add_method("metalr", [0.5, 0.5, 0.51])
    ledger.add_search("adamw", [0.4, 0.6], sampler="tpe")
    _, numbers = numbers_of(ledger)
    assert (
        "adamw tpe needs 2 trials to match (a single search: no interval)." in answers(numbers)[0]
    )


def test_what_keeps_numbers_from_being_a_claim_is_said_first(ledger):
    ledger.add_method("metalr", [0.5, 0.6, None], purpose="development")
    ledger.add_search("adamw", [0.4, 0.6], sampler="tpe")
    data, numbers = numbers_of(ledger)
    unfinished, small, development = warnings(data, numbers)
    assert unfinished.startswith("Unfinished: 1 of 5")
    assert small == "Too small for a claim: 3 of 10 seeds; 1 of 10 repeats of 'adamw tpe'."
    assert development.startswith("Development: 2 of 4 recorded trials")


def test_without_tuning_a_method_is_held_against_the_reference(ledger):
    ledger.add_method("adam", [0.5, 0.51, 0.52])
    ledger.add_method("metalr", [0.6, 0.61, 0.62])
    _, numbers = numbers_of(ledger)
    assert "Against adam, 3 paired seeds: +10.00 points [10.00, 10.00]" in answers(numbers)[1]


def test_runs_without_a_score_and_missing_ones_are_counted(ledger):
    ledger.add_method("adam", [0.5, Status.DIVERGED, None, None])
    data, numbers = numbers_of(ledger)
    (told,) = answers(numbers)
    assert "(2 runs of 4, 1 of them without a score)" in told
    assert total_and_missing(numbers, data) == (4, 2)
    assert completeness(numbers, data).startswith("Unfinished: 2 of 4 trials")


def test_one_run_has_no_interval(ledger):
    ledger.add_method("adam", [0.5])
    _, numbers = numbers_of(ledger)
    assert "50.00 % [one run] (1 run)." in answers(numbers)[0]


def test_metalr_comes_first_then_other_controllers(ledger):
    ledger.add_method("adam", [0.5])
    ledger.add_method("own", [0.5], controller="hypergradient")
    ledger.add_method("flagship", [0.5], controller="metalr")
    _, numbers = numbers_of(ledger)
    assert [told.split()[1] for told in answers(numbers)] == ["flagship,", "own,", "adam,"]


def test_proposals_that_were_never_asked_are_missing(ledger):
    ledger.add_method("adam", [0.5])
    ledger.add_search("adamw", [0.4, 0.5, None])
    data, numbers = numbers_of(ledger)
    data = data._replace(wanted_proposals=8)
    assert total_and_missing(numbers, data) == (9, 6)
    assert completeness(numbers, data).startswith("Unfinished: 6 of 9")
    data = data._replace(awaited_winner_runs=20)
    assert total_and_missing(numbers, data) == (29, 26)


@pytest.mark.parametrize(("trials", "missing"), [(4, 1 + 20), (3, 0)])
def test_runs_of_winners_that_are_not_known_yet_are_missing_too(ledger, trials, missing):
    ledger.add_method("adam", [0.5])
    ledger.add_search("adamw", [0.4, 0.5, 0.6])
    folder = ledger.finish()
    (search_id,) = set(load_searches(folder)["search_id"])
    search = {
        "search_id": search_id, "trials": trials, "seeds": 10, "final_methods": ["#1", "#2"]
    }  # fmt: skip
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"searches": [search]}))
    data = load_study_data([folder])
    assert total_and_missing(compute(data), data) == (4 + missing, missing)
