"""A claim holds if the whole interval lies above what was claimed."""

import pytest

from analysis.publishing.claims import Threshold, thresholds_table
from analysis.publishing.studied import Studied
from analysis.report.numbers import compute
from analysis.report.study_data import load_study_data
from tests.ledgers import MadeUpLedger


def row_of(tmp_path, accuracies, *, above, method="metalr"):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method(method, accuracies)
    data = load_study_data([ledger.finish()])
    claim = Threshold("study", "digits-cnn", above, "Digits")
    table = thresholds_table({"study": Studied(data, compute(data))}, [claim])
    return [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]


@pytest.mark.parametrize(
    ("above", "holds"), [(0.5, "yes"), (0.7, "undecided"), (0.9, "no")], ids=str
)
def test_a_claim_is_judged_by_its_interval(tmp_path, above, holds):
    claim, where, found, runs, answer = row_of(tmp_path, [0.69, 0.70, 0.71, None], above=above)
    assert claim == f"Digits: above {100 * above:.1f} %"
    assert where == "study: all examples, 4 epochs"
    assert found.startswith("70.00 ")
    assert (runs, answer) == ("3 of 4", holds)


@pytest.mark.parametrize(("accuracies", "method"), [([None], "metalr"), ([0.9], "adam")])
def test_what_was_not_run_is_open(tmp_path, accuracies, method):
    row = row_of(tmp_path, accuracies, above=0.5, method=method)
    assert row == ["Digits: above 50.0 %", "study, not run yet", "-", "0", "open"]


def test_a_study_that_is_not_there_is_open():
    table = thresholds_table({}, [Threshold("absent", "w", 0.5, "Digits")])
    assert table.endswith("| Digits: above 50.0 % | absent, not run yet | - | 0 | open |")
