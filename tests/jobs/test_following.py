"""Following a job over a connection that breaks."""

import io

import pytest
from rich.console import Console

from tests.jobs.fakes import FakeJobs, a_job, lost
from tune_metalr.errors import UserError
from tune_metalr.jobs import following
from tune_metalr.jobs.following import Follower
from tune_metalr.ray_pool.job import JobState

LOG = "one\ntwo\nthree\n"
DONE = a_job(state=JobState.SUCCEEDED, exit_code=0)


RUNNING = a_job()


def follow(*tails, jobs=(RUNNING,)):
    console = Console(file=io.StringIO(), width=100)
    pauses = []
    fake = FakeJobs(*tails, jobs=jobs)
    ended = Follower(fake, console, sleep=pauses.append).follow("small-1")
    return ended, console.file.getvalue().splitlines(), pauses


def test_a_job_is_shown_to_its_end():
    ended, lines, pauses = follow([LOG, DONE])
    assert ended.state is JobState.SUCCEEDED
    assert lines == ["one", "two", "three"]
    assert pauses == []


@pytest.mark.parametrize("seen", range(len(LOG) + 1))
def test_wherever_the_connection_breaks_each_line_is_shown_once(seen):
    _, lines, _ = follow([LOG[:seen], lost()], [LOG[: seen // 2], LOG[seen // 2 :], DONE])
    told = [line for line in lines if not line.startswith(("Lost", "Connected"))]
    assert told == ["one", "two", "three"]
    assert sum(line.startswith("Lost the connection") for line in lines) == 1
    assert "Connected again." in lines


def test_it_tries_for_as_long_as_it_takes_ever_more_slowly_and_says_so_once():
    _, lines, pauses = follow(*[[lost()]] * 50, [LOG, DONE])
    assert len(pauses) == 50
    assert pauses == sorted(pauses)
    assert max(pauses) == following._LONGEST_PAUSE_SECONDS
    assert lines[0].startswith(
        "Lost the connection to http://127.0.0.1:8265: nothing answers there"
    )
    assert lines[1:] == ["Connected again.", "one", "two", "three"]


def test_a_connection_that_is_silent_for_long_is_made_anew(monkeypatch):
    monkeypatch.setattr(following, "_SILENCE_SECONDS", -1.0)
    _, lines, _ = follow(["one\n", "", "never heard"], ["one\ntwo\n", DONE])
    assert lines == ["one", "two"]


def test_a_log_that_ends_before_its_job_does_is_followed_on():
    _, lines, pauses = follow(["one\n"], ["one\ntwo\n", DONE])
    assert lines == ["one", "two"]
    assert len(pauses) == 1


def test_a_job_that_a_new_head_does_not_know_is_told_in_one_line():
    with pytest.raises(UserError, match=r"does not know small-1 any more.*submit the study again"):
        follow([LOG], jobs=[])


def test_a_token_that_is_not_taken_any_more_ends_it(monkeypatch):
    def refuse(self, job_id):
        raise UserError("the cluster refuses this token")

    monkeypatch.setattr(FakeJobs, "find", refuse)
    with pytest.raises(UserError, match="refuses this token"):
        follow(["one\n", lost("401")])


def test_the_log_of_a_job_that_has_ended_is_not_tried_for_ever():
    ended, lines, pauses = follow(["one\n", DONE, lost()], [lost()])
    assert ended.state is JobState.SUCCEEDED
    assert len(pauses) == following._TRIES_AFTER_THE_END - 1
    assert lines[0] == "one"


def test_what_is_left_of_the_log_of_a_job_that_has_ended_is_read():
    _, lines, _ = follow(["one\n", DONE, lost()], [LOG])
    assert [line for line in lines if not line.startswith(("Lost", "Connected"))] == [
        "one",
        "two",
        "three",
    ]
