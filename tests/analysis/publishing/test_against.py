"""One method beside the others, in words: verdicts, signs and counts are those of the tests."""

import numpy as np
import pytest

from analysis.publishing.against import against_each, answers_in_words, captions, table_against
from analysis.report.numbers import compute
from analysis.report.study_data import load_study_data
from tests.ledgers import MadeUpLedger


def around(mean, seed=0, spread=0.004):
    return [float(value) for value in np.random.default_rng(seed).normal(mean, spread, 10)]


EARLY, LATE = [0.1, 0.85, 0.88, 0.9], [0.1, 0.5, 0.81, 0.82]


@pytest.fixture
def ledger(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study", reference="adam", margin=0.01)
    ledger.add_method("adam", around(0.8), curve=LATE)
    ledger.add_method("metalr", around(0.9, 1), curve=EARLY)
    ledger.add_method("twin", around(0.9, 2), curve=EARLY)
    ledger.add_method("better", around(0.95, 3), curve=[0.81, 0.85, 0.9, 0.95])
    return ledger


def studied(ledger):
    data = load_study_data([ledger.finish()])
    return data, compute(data)


def words(ledger):
    (told,) = answers_in_words(*studied(ledger), "metalr")
    return told.replace("\\", "")


def test_difference_and_verdict_are_those_of_the_method(ledger):
    rows = {row.rival: row.comparison for row in against_each(*studied(ledger), "metalr")}
    verdicts = {name: str(each.verdict) for name, each in rows.items()}
    assert verdicts == {"adam": "better", "twin": "as good, both ways", "better": "worse"}
    assert rows["adam"].difference.estimate == pytest.approx(0.1, abs=0.01)
    assert rows["better"].difference.high < 0


def test_a_method_can_be_shown_to_be_as_good_or_better(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study", reference="adam", margin=0.01)
    ledger.add_method("adam", around(0.900, 1, 0.012))
    ledger.add_method("metalr", around(0.907, 2, 0.012))
    (row,) = against_each(*studied(ledger), "metalr")
    assert str(row.comparison.verdict) == "as good or better"
    assert "Against 1 rival: as good or better 1 (adam)." in words(ledger)


def test_words_say_who_ends_better_who_is_sooner_and_what_tuning_it_spares(ledger):
    ledger.add_search("adamw", [0.6] * 20)
    told = words(ledger)
    assert told.startswith("**digits-cnn**, all examples, 4 epochs. metalr, 0 trials: 90.")
    assert (
        "Against 3 rivals: better 1 (adam); worse 1 (better); as good, both ways 1 (twin)." in told
    )
    assert "Closest is better: -4." in told
    assert "Higher in the mean than it: better" in told
    assert (
        "Is it at 80 % on validation sooner? On more seeds than not against 1 of 3, beyond chance "
        "against 1 of them. Later on more seeds than not: better (10 of 10 seeds; sooner on 0)."
    ) in told
    assert "Does it spare tuning? adamw random does not match it within 5 trials" in told


def test_the_table_begins_with_the_closest_rival(ledger):
    rows = against_each(*studied(ledger), "metalr")
    lines = table_against(rows).splitlines()[2:]
    assert [line.split("|")[2].strip() for line in lines] == ["better", "twin", "adam"]
    assert lines[2].endswith("| better | 2 against 3 | 10, 0 |")
    (caption,) = captions(rows, studied(ledger)[0].choices)
    assert "at 0.05 with Holm's correction over 3 comparisons" in caption
    assert "takes 7 pairs at least" in caption  # 3 x 2 / 2**7 is the first below 0.05
    assert "within 1 point." in caption


def test_a_variant_of_the_method_is_no_rival(ledger):
    ledger.add_method("floor", around(0.9, 4), curve=EARLY, controller="prior")
    told = words(ledger)
    assert "Against 3 rivals" in told
    assert "Beside its variant floor: " in told


def test_who_has_no_common_seed_is_named(ledger):
    ledger.add("elsewhere", 99, 0.5)
    assert "No common seed yet with elsewhere." in words(ledger)
    assert "| elsewhere | 0 | - | - | no common seed | no target | - |" in table_against(
        against_each(*studied(ledger), "metalr")
    )


def test_a_study_without_the_method_says_nothing_of_it(ledger):
    data, numbers = studied(ledger)
    assert against_each(data, numbers, "absent") == []
    assert list(answers_in_words(data, numbers, "absent")) == []
    assert list(captions([], data.choices)) == []


def test_a_method_that_is_alone_has_a_score_and_no_rivals(tmp_path):
    alone = MadeUpLedger(tmp_path / "study")
    alone.add_method("metalr", around(0.9))
    assert words(alone).endswith("(10 runs).")
