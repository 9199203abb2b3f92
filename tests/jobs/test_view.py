"""A job's log as it is shown."""

import io

import pytest
from rich.console import Console

from tests.test_dealer import wanted
from tune_metalr.dealer import Dealer
from tune_metalr.jobs.view import JobView
from tune_metalr.progress_feed import FeedWriter
from tune_metalr.progress_view import Snapshot


def feed(writer, ended, *, is_last=False):
    methods = Dealer(wanted(2), {}).count_by_method()
    return writer.line(Snapshot(methods, 4, ended, 0, 1.0, ""), is_last=is_last)


@pytest.fixture
def log():
    writer = FeedWriter()
    return "\n".join([
        "2026-01-01 INFO job_manager.py:581 -- Runtime env is setting up.",
        "Running entrypoint for job small-1: exec python -m tune_metalr run",
        "4 of 4 trials to run.",
        feed(writer, 0), feed(writer, 2), feed(writer, 4, is_last=True),
        "a table [b] of results", "",
    ])  # fmt: skip


def shown(pieces, *, terminal=False):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    view = JobView(console)
    for piece in pieces:
        view.show(piece)
    view.close()
    return console.file.getvalue()


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
def test_however_the_log_is_cut_each_line_is_shown_once_and_progress_at_its_end(log, size):
    pieces = [log[start : start + size] for start in range(0, len(log), size)]
    assert shown(pieces).splitlines() == [
        "4 of 4 trials to run.",
        "4 of 4 trials ended, 0 running, 0 diverged, 0 failed; 0:00:01 elapsed",
        "a table [b] of results",
    ]


def test_a_terminal_shows_the_table_of_a_run_and_what_came_after_it_below(log):
    text = shown([log], terminal=True)
    assert "diverged" in text
    assert text.index("elapsed") < text.index("a table [b] of results")
    assert "tune-metalr-progress" not in text


def test_a_run_that_died_in_the_midst_shows_how_far_it_was(log):
    text = shown([log[: log.index('"last"')]])
    assert "2 of 4 trials ended" in text


def test_a_last_line_without_an_end_is_shown():
    assert shown(["Traceback", ""]) == "Traceback\n"
