import pytest

from analysis.load import load_trials
from analysis.two_ledgers import compare_ledgers
from tests.ledgers import MadeUpLedger
from tune_metalr.errors import UserError
from tune_metalr.trial import Status


def ledger(tmp_path, name, accuracies, **changes):
    made = MadeUpLedger(tmp_path / name)
    made.add_method("sgd", accuracies, **changes)
    return load_trials(made.finish())


def cells(first, second):
    return compare_ledgers(first, second)


def test_the_same_trials_are_no_hypothesis_but_a_check(tmp_path):
    values = [0.8, 0.81, Status.DIVERGED]
    (cell,) = cells(ledger(tmp_path, "a", values), ledger(tmp_path, "b", values, seconds=4.0))
    assert (cell.num_pairs, cell.num_same_trial, cell.num_irreproducible) == (3, 3, 0)
    assert cell.difference == (0, 0, 0)
    assert cell.holm_p != cell.holm_p
    assert cell.time_ratio == pytest.approx(4.5 / 2.5)


def test_a_trial_that_gives_other_numbers_is_found(tmp_path):
    (cell,) = cells(ledger(tmp_path, "a", [0.8, 0.81]), ledger(tmp_path, "b", [0.8, 0.82]))
    assert cell.num_irreproducible == 1


def test_other_code_is_compared_seed_by_seed(tmp_path):
    first = ledger(tmp_path, "a", [0.80 + i / 1000 for i in range(8)])
    second = ledger(tmp_path, "b", [0.85 + i / 1000 for i in range(8)], rate=0.2)
    (cell,) = cells(first, second.iloc[::-1])
    assert cell.num_same_trial == 0
    assert cell.difference.estimate == pytest.approx(0.05)
    assert cell.sign_flip_p == 2 / 2**8
    assert cell.holm_p == 2 / 2**8


def test_what_only_one_ledger_has_is_counted_not_cut(tmp_path):
    first = ledger(tmp_path, "a", [0.8, 0.81, 0.82])
    second = ledger(tmp_path, "b", [0.8, None, 0.82, 0.83, 0.84])
    (cell,) = cells(first, second)
    assert (cell.num_pairs, cell.num_first_only, cell.num_second_only) == (2, 1, 2)


def test_ledgers_without_a_common_trial_are_refused(tmp_path):
    first = ledger(tmp_path, "a", [0.8])
    second = ledger(tmp_path, "b", [None, 0.9])
    with pytest.raises(UserError, match="no trial in common"):
        cells(first, second)
