"""pandas' view of a ledger: one row per wanted trial, the study's names, nothing invented."""

import pandas as pd
import pytest

from analysis.choices import AnalysisChoices
from analysis.load import load_choices, load_searches, load_trials
from tests.test_ledger import full_row, trial
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.study import AnalysisChoice
from tune_metalr.trial import COLUMNS, Role, Status, WantedTrial


@pytest.fixture
def ledger(tmp_path):
    """Five wanted trials (two completed, one diverged, failed, missing) and a superseded one."""
    ledger = Ledger(tmp_path / "study")
    ledger.create()
    wanted = [WantedTrial(trial(seed), Role.BASELINE, "new name", 0.9) for seed in range(5)]
    ledger.write_study("name: study\n", wanted, [])
    ledger.record(full_row(0, test_accuracy=0.5, method="old name"))
    ledger.record(full_row(1, test_accuracy=0.7))
    ledger.record(full_row(2, status=Status.DIVERGED, test_accuracy=None))
    ledger.record(full_row(3, status=Status.FAILED, test_accuracy=None, train_examples=None))
    ledger.record(full_row(9))
    return ledger


def test_every_wanted_trial_has_one_row_with_the_studys_name_and_role(ledger):
    trials = load_trials(ledger.store.root)
    assert list(trials["seed"]) == [0, 1, 2, 3, 4]
    assert set(trials["method"]) == {"new name"}
    assert set(trials["role"]) == {"baseline"}
    assert list(trials["target_accuracy"]) == [0.9] * 5
    assert {column.name for column in COLUMNS} <= set(trials.columns)
    assert trials["status"].isna().tolist() == [False, False, False, False, True]


def test_a_metric_that_does_not_exist_is_null(ledger):
    trials = load_trials(str(ledger.store.root))
    assert trials["test_accuracy"].isna().tolist() == [False, False, True, True, True]
    assert trials["train_examples"].isna().tolist() == [False, False, False, True, True]
    assert trials["steps"].dtype == pd.Int64Dtype()


def test_superseded_trials_are_loadable(ledger):
    superseded = load_trials(ledger.store.root, superseded=True)
    assert list(superseded["seed"]) == [9]


def test_proposals_are_joined_to_the_outcomes_that_they_point_to(ledger):
    ledger.record_proposals(
        "s",
        [
            {"search_id": "s", "index": index, "trial_id": trial(seed).trial_id, "repeat": 0}
            for index, seed in enumerate([1, 0, 1, 7])
        ],
    )
    searches = load_searches(ledger.store.root)
    assert list(searches["index"]) == [0, 1, 2, 3]
    assert searches["test_accuracy"].tolist()[:3] == [0.7, 0.5, 0.7]
    assert pd.isna(searches["status"][3])


def test_only_proposals_of_current_searches_within_their_trials_are_loaded(ledger) -> None:
    for search_id in ("now", "shorter", "gone"):
        ledger.record_proposals(
            search_id,
            [{"search_id": search_id, "index": i, "trial_id": trial(0).trial_id} for i in range(4)],
        )

    def loaded():
        searches = load_searches(ledger.store.root)
        return list(zip(searches["search_id"], searches["index"], strict=True))

    assert len(loaded()) == 12  # an older ledger does not say which are current
    current = [{"search_id": "now", "trials": 4}, {"search_id": "shorter", "trials": 2}]
    ledger.write_study("name: study\n", [], [], searches=current)
    assert loaded() == [*(("now", i) for i in range(4)), ("shorter", 0), ("shorter", 1)]
    ledger.write_study("name: study\n", [], [], searches=current[::-1])
    assert loaded()[:2] == [("shorter", 0), ("shorter", 1)]  # in the study's order
    ledger.write_study("name: study\n", [], [], searches=[])
    assert loaded() == []


def test_a_study_without_searches_has_no_proposals(ledger):
    assert len(load_searches(ledger.store.root)) == 0


def test_a_folder_without_a_study_is_named(tmp_path):
    for load in (load_trials, load_searches):
        with pytest.raises(UserError, match="holds no results"):
            load(tmp_path)


def test_a_few_columns_can_be_loaded_alone(ledger):
    trials = load_trials(ledger.store.root, columns=["test_accuracy"])
    assert trials["test_accuracy"].tolist()[:2] == [0.5, 0.7]
    assert {"workload", "method", "seed", "role", "status"} <= set(trials.columns)
    assert "learning_rates" not in trials.columns


def test_what_a_trial_was_run_for_is_loaded(ledger):
    ledger.record(full_row(4, purpose="development"))
    assert load_trials(ledger.store.root)["purpose"][4] == "development"
    assert load_trials(ledger.store.root, columns=["purpose"])["purpose"][4] == "development"


def test_how_to_compare_is_what_the_study_says(ledger):
    assert load_choices(ledger.store.root) == AnalysisChoices()
    choices = {"reference": "sgd", "margin": 0.02, "alpha": 0.1, "family": "workload"}
    ledger.write_study("name: study\n", [], [], analysis=choices)
    assert load_choices(ledger.store.root) == AnalysisChoices(**choices)


def test_a_record_of_choices_that_is_damaged_is_named(ledger):
    ledger.write_study("name: study\n", [], [], analysis={"margin": 7})
    with pytest.raises(UserError, match="margin must lie between 0 and 1"):
        load_choices(ledger.store.root)


def test_what_a_study_does_not_say_is_what_a_ledger_without_choices_means():
    assert AnalysisChoices(**AnalysisChoice().model_dump()) == AnalysisChoices()
