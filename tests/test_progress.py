"""What a run shows of itself: on a terminal, in a file, and to whoever follows it."""

import io

import pytest
from rich.console import Console

from tests.test_dealer import wanted
from tune_metalr.dealer import Dealer
from tune_metalr.losses import Cause, Loss, Losses
from tune_metalr.progress import Progress
from tune_metalr.progress_feed import FeedReader, FeedWriter
from tune_metalr.progress_view import Snapshot
from tune_metalr.submitted import job_environment, submitting_command
from tune_metalr.trial import Status


@pytest.fixture
def dealer():
    return Dealer(wanted(2), {})


def run(dealer, console, *, ends=4, losses=None):
    progress = Progress(dealer, losses or Losses(), console)
    with progress.shown():
        for _ in range(ends):
            dealer.ended(dealer.next().trial.trial_id, Status.COMPLETED)
            progress._last = -1e9  # as if time had passed
            progress.update()


def written(*, terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)


def followed(monkeypatch):
    for name, value in job_environment(["tune-metalr", "submit", "my study.yaml"]).items():
        monkeypatch.setenv(name, value)


def test_a_file_gets_lines(dealer):
    console = written()
    run(dealer, console, ends=3)
    lines = console.file.getvalue().splitlines()
    assert lines[-1].startswith("3 of 4 trials ended, 0 running, 0 diverged, 0 failed; 0:00:00")


def test_a_terminal_gets_one_table_by_method(dealer):
    console = written(terminal=True)
    run(dealer, console)
    shown = console.file.getvalue()
    assert "method" in shown
    assert "elapsed" in shown
    assert "trials ended" not in shown


def test_a_run_that_is_cut_short_still_says_how_far_it_came(dealer):
    console = written()
    progress = Progress(dealer, Losses(), console)
    with pytest.raises(KeyboardInterrupt), progress.shown():
        raise KeyboardInterrupt
    assert "0 of 4 trials ended" in console.file.getvalue()


def test_whoever_follows_knows_each_count_at_each_moment(dealer, monkeypatch):
    followed(monkeypatch)
    console = written()
    run(dealer, console)
    reader = FeedReader()
    lines = console.file.getvalue().splitlines()
    ended = []
    for line in lines:
        assert not reader.is_over
        assert reader.hear(line)
        ended.append(reader.at(0).num_ended)
    assert ended == [0, 1, 2, 3, 4, 4]
    assert reader.is_over
    assert dict(reader.at(0).methods) == dealer.count_by_method()
    assert "about" not in reader.at(0).line()  # nothing is left
    assert reader.at(61).line().endswith("0:01:01 elapsed")


def test_whoever_follows_knows_what_was_lost(dealer, monkeypatch):
    followed(monkeypatch)
    console, losses, reader = written(), Losses(), FeedReader()
    losses.hear("a trial", Loss(Cause.NODE, "taken back"))
    run(dealer, console, losses=losses)
    for line in console.file.getvalue().splitlines():
        reader.hear(line)
    assert "elapsed, lost: 1 node" in reader.at(0).line()


def test_the_command_that_submitted_is_the_one_to_go_on_with(monkeypatch):
    assert submitting_command() is None
    followed(monkeypatch)
    assert submitting_command() == ["tune-metalr", "submit", "my study.yaml"]


def test_a_line_of_the_feed_names_what_has_changed_alone():
    dealer = Dealer(wanted(1, methods=[f"method-{number}" for number in range(100)]), {})
    writer = FeedWriter()

    def now():
        return Snapshot(dealer.count_by_method(), 100, dealer.num_ended, 0, 1.0, "")

    first = writer.line(now())
    assert not writer.is_news(now())
    dealer.next()
    assert writer.is_news(now())
    assert len(writer.line(now())) < 150 < len(first)


@pytest.mark.parametrize(
    "line",
    [
        "6 of 6 trials to run.",
        "tune-metalr-progress",
        "tune-metalr-progress {",
        "tune-metalr-progress []",
        'tune-metalr-progress {"methods": {"a": [1]}}',
        'tune-metalr-progress {"methods": {}}',
    ],
)
def test_what_is_no_progress_is_left_to_be_shown(line):
    reader = FeedReader()
    assert not reader.hear(line)
    assert not reader.has_heard
