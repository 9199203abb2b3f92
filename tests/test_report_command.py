"""`report` as a user meets it, and at the end of a run."""

from pathlib import Path

import pytest

from tests.conftest import tune_metalr
from tests.ledgers import MadeUpLedger
from tune_metalr import cli


@pytest.fixture
def folder(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method("adam", [0.5, 0.51, 0.52])
    ledger.add_method("metalr", [0.6, 0.61, 0.62])
    return ledger.finish()


def test_the_command_tells_where_the_page_is(folder):
    result = tune_metalr("report", folder)
    assert result.returncode == 0, result.stderr
    page = folder / "report" / "index.html"
    assert result.stdout == f"Report: {page}\n"
    assert result.stderr == ""
    assert "metalr, 0 trials" in page.read_text()


def test_no_results_are_one_line(tmp_path):
    result = tune_metalr("report", tmp_path / "nothing")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "holds no results" in result.stderr


def test_damaged_proposals_are_one_line(folder):
    (folder / "proposals" / "search.parquet").write_bytes(b"PAR1")
    result = tune_metalr("report", folder)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "search.parquet" in result.stderr


def test_a_run_tells_where_its_report_is(folder):
    assert cli._reported(folder) == str(folder / "report" / "index.html")


def test_a_report_that_fails_leaves_the_run_as_it_ended(folder, monkeypatch):
    def fails(folders: list[Path]) -> Path:
        raise RuntimeError("no room\nfor more")

    monkeypatch.setattr("analysis.report.report.write_report", fails)
    told = cli._reported(folder)
    assert told == f"no report (no room): tune-metalr report {folder} tries again"
