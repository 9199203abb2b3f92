"""The README's table, made of a study of which everything is known."""

import pytest

from analysis.publishing.first_picture import first_picture
from analysis.publishing.first_table import Shown, first_table
from analysis.publishing.studied import Studied
from analysis.report.numbers import compute
from analysis.report.study_data import load_study_data
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status

SHOWN = Shown(methods=("metalr", "adam"), search="adamw random")


@pytest.fixture
def ledger(tmp_path):
    return MadeUpLedger(tmp_path / "study", reference="adam")


def studied(ledger):
    data = load_study_data([ledger.finish()])
    return Studied(data, compute(data))


def rows_of(ledger):
    table = first_table(studied(ledger), SHOWN)
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines], table


def test_a_row_for_each_untuned_method_and_each_budget_of_the_search(ledger):
    for workload in ("digits-cnn", "mnist-cnn"):
        ledger.add_method("adam", [0.5, 0.51], workload=workload, cost=40)
        ledger.add_method("metalr", [0.9, 0.91], workload=workload, cost=60)
        ledger.add_method("sgd", [0.3, 0.3], workload=workload)
    ledger.add_search("adamw", [0.6] * 20, workload="digits-cnn", cost=20)
    ledger.add_search("adamw", [0.7] * 36, workload="mnist-cnn", cost=20)
    (head, _, *rows), text = rows_of(ledger)
    assert head == [
        "method", "tuning trials", "digits-cnn, %<br>all examples, 4 epochs",
        "mnist-cnn, %<br>all examples, 4 epochs", "cost",
    ]  # fmt: skip
    # The last budgets are what the searches can tell of: a quarter of 20 trials, and of 36.
    assert [row[:2] for row in rows] == [
        ["`metalr`", "0"], ["`adam`", "0"], ["adamw random search", "1"],
        ["adamw random search", "4"], ["adamw random search", "5"], ["adamw random search", "9"],
    ]  # fmt: skip
    assert rows[0][2].startswith("90.50 [")
    assert "not matched within 5 trials [" in rows[0][2]
    assert "matched after 1 [" in rows[1][2]
    # Half as many gradients as a run of the last method: trials may be stopped, or be cheaper.
    assert [row[4] for row in rows] == ["1.5", "1", "0.5", "2", "2.5", "4.5"]
    assert rows[3][3].startswith("70.00 [")
    assert (rows[5][2], rows[5][3][:5]) == ("-", "70.00")
    assert "the most that 20 or 36 trials can tell of" in text


def test_a_workload_on_which_the_search_has_not_begun_has_no_row_of_it(ledger):
    for workload in ("digits-cnn", "mnist-cnn"):
        ledger.add_method("adam", [0.5, 0.51], workload=workload)
        ledger.add_method("metalr", [0.9, 0.91], workload=workload)
    ledger.add_search("adamw", [0.6] * 20, workload="digits-cnn")
    ledger.add_search("adamw", [None] * 8, workload="mnist-cnn")
    (_, _, *rows), text = rows_of(ledger)
    assert [row[3] for row in rows[2:]] == ["-", "-", "-"]
    assert "the most that 20 trials can tell of" in text


def test_what_has_not_been_run_and_what_has_no_score_is_told(ledger):
    ledger.add_method("adam", [0.5, 0.52, Status.DIVERGED, None])
    ledger.add_method("metalr", [None, None, None, None])
    (_, _, *rows), text = rows_of(ledger)
    assert rows[0][2] == "not run yet"
    assert rows[0][-1] == "-"
    assert rows[1][2].endswith("3 of 4 runs, 1 without a score")
    assert "Unfinished: 5 of 8 trials have not been run." in text


def test_another_number_of_runs_is_told(ledger):
    for workload in ("digits-cnn", "mnist-cnn"):
        ledger.add_method("adam", [0.5, 0.52], workload=workload)
    ledger.add_method("metalr", [0.6, 0.61, 0.62])
    ledger.add_method("metalr", [0.6, 0.61], workload="mnist-cnn")
    (_, _, *rows), text = rows_of(ledger)
    assert rows[0][2].endswith("], 3 runs")
    assert not any("runs" in cell for cell in (rows[0][3], *rows[1]))
    assert "Mean test accuracy, 2 runs each if no other number stands there" in text


def test_a_study_without_the_methods_of_the_table_says_so(ledger):
    ledger.add_method("adam2", [0.5, 0.52])
    (_, _, *rows), _ = rows_of(ledger)
    assert [row[2] for row in rows] == ["not run yet", "not run yet"]


def test_without_the_search_there_are_untuned_rows_alone(ledger):
    ledger.add_method("adam", [0.5, 0.52])
    ledger.add_method("metalr", [0.6, 0.62])
    (_, _, *rows), text = rows_of(ledger)
    assert [row[0] for row in rows] == ["`metalr`", "`adam`"]
    assert "matched" not in text.lower()


def test_what_it_rests_on_is_told(ledger):
    ledger.add_method("adam", [0.5, 0.52], torch_version="2.13.0", threads=2)
    ledger.add_method("metalr", [0.6, 0.62], purpose="development", forward_evaluations=7)
    _, text = rows_of(ledger)
    assert "a run of `metalr` adds 7 forward passes" in text
    assert "Development: 2 of 4 recorded trials" in text
    assert "Torch 2.13.0" in text
    assert "threads of a trial: 2" in text


def test_the_picture_shows_the_search_and_the_methods_of_the_table(ledger):
    ledger.add_method("adam", [0.5, 0.52])
    ledger.add_method("metalr", [0.6, 0.62])
    ledger.add_method("sgd", [0.6, 0.62])
    ledger.add_search("adamw", [0.6] * 20)
    picture = first_picture(studied(ledger), SHOWN)
    shown = [name for name in ("adamw random", "metalr", "adam", "sgd") if f">{name}<" in picture]
    assert shown == ["adamw random", "metalr", "adam"]
    assert ">digits-cnn<" in picture
