"""Submitting a study: once, whatever happens meanwhile."""

import shlex
import tempfile
from pathlib import Path

import pytest

from tests.jobs.fakes import FakeJobs, a_job, lost
from tune_metalr.errors import UserError
from tune_metalr.jobs.submission import SubmitOptions, check_place, prepare
from tune_metalr.jobs.submission import submit as submit_order
from tune_metalr.ray_pool.job import JobFacts, JobState, LostConnectionError

COMMAND = ["tune-metalr", "submit", "small.yaml", "--address", "u", "--results", "s3://b/r"]
OPTIONS = SubmitOptions("s3://b/r", COMMAND, ["--max-hours", "2.0"])


@pytest.fixture
def submit(study_path, monkeypatch, tmp_path):
    monkeypatch.chdir(study_path.parent)

    def to(jobs, options=OPTIONS, *, sleep=lambda seconds: None):
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            order = prepare(study_path, options, Path(folder))
            return submit_order(order, jobs, sleep=sleep)

    return to


def test_the_job_runs_the_study_on_the_cluster_it_is_in(submit):
    jobs = FakeJobs()
    job = submit(jobs)
    (order,) = jobs.orders
    assert order.job_id == job.job_id
    assert job.job_id.startswith("small-")
    assert shlex.split(order.entrypoint) == [
        "exec", "python", "-m", "tune_metalr", "run", "small.yaml", "--results", "s3://b/r",
        "--address", "auto", "--max-hours", "2.0",
    ]  # fmt: skip
    assert order.environment["OMP_NUM_THREADS"] == order.environment["MKL_NUM_THREADS"] == "1"
    assert order.environment["RAY_JOB_STOP_WAIT_TIME_S"] == "30"
    assert job.facts.command == shlex.join(COMMAND)


def test_threads_are_those_of_the_study(submit, study_path):
    study_path.write_text(study_path.read_text() + "threads_per_trial: 3\n")
    jobs = FakeJobs()
    submit(jobs)
    assert jobs.orders[0].environment["OMP_NUM_THREADS"] == "3"


def test_no_variable_of_the_users_is_shipped(submit, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine too")
    jobs = FakeJobs()
    submit(jobs)
    assert "mine" not in repr(jobs.orders)


def test_submitted_again_while_it_runs_it_is_the_same_job(submit):
    jobs = FakeJobs()
    assert submit(jobs).job_id == submit(jobs).job_id
    assert len(jobs.orders) == 1


def test_submitted_again_with_other_options_while_it_runs_is_refused(submit):
    jobs = FakeJobs()
    submit(jobs)
    with pytest.raises(UserError, match="with other options"):
        submit(jobs, OPTIONS._replace(run_options=["--max-hours", "3.0"]))
    assert len(jobs.orders) == 1


def test_submitted_again_after_its_end_it_goes_on_as_a_new_job(submit):
    jobs = FakeJobs()
    first = submit(jobs)
    jobs.known[first.job_id] = first._replace(state=JobState.STOPPED)
    assert submit(jobs).job_id != first.job_id
    assert [order.facts for order in jobs.orders] == [first.facts, first.facts]


def test_other_results_are_another_run(submit):
    jobs = FakeJobs()
    submit(jobs)
    submit(jobs, OPTIONS._replace(results="s3://b/other"))
    assert len(jobs.orders) == 2


def test_another_form_of_a_study_that_runs_is_refused_with_the_command_that_stops_it(submit):
    jobs = FakeJobs(jobs=[a_job(results="s3://b/r", digest="another")])
    with pytest.raises(
        UserError, match=r"tune-metalr stop small-1 --address http://127\.0\.0\.1:8265"
    ):
        submit(jobs)
    assert not jobs.orders


class Breaking(FakeJobs):
    """A cluster whose answer to a submission is lost, and that is away for a while then."""

    def __init__(self, *, takes, away=0):
        super().__init__()
        self._takes = takes
        self._away = away

    def submit(self, order):
        if self._takes:
            super().submit(order)
        raise lost()

    def find(self, job_id):
        self._away -= 1
        if self._away >= 0:
            raise lost()
        return super().find(job_id)


@pytest.mark.parametrize("away", [0, 1, 4])
def test_a_job_that_was_taken_is_found_though_the_answer_was_lost(submit, away):
    jobs = Breaking(takes=True, away=away)
    pauses = []
    assert submit(jobs, sleep=pauses.append).job_id in jobs.known
    assert pauses == sorted(pauses)
    assert len(pauses) == away + 1


def test_a_job_that_was_not_taken_is_told_in_one_line(submit):
    with pytest.raises(LostConnectionError, match="run the same command again") as error:
        submit(Breaking(takes=False))
    assert "not known" not in str(error.value)


def test_a_job_of_which_nothing_is_heard_any_more_is_named(submit):
    jobs = Breaking(takes=True, away=100)
    pauses = []
    with pytest.raises(LostConnectionError) as error:
        submit(jobs, sleep=pauses.append)
    assert f"it is not known whether {jobs.orders[0].job_id} was taken" in str(error.value)
    assert sum(pauses) >= 30


def test_a_connection_that_breaks_after_the_job_was_taken_costs_nothing(submit, monkeypatch):
    jobs = FakeJobs()
    monkeypatch.setattr(jobs, "find", lambda job_id: pytest.fail("asked again"))
    assert submit(jobs).state is JobState.PENDING


def test_a_wrong_study_is_found_here(submit, study_path):
    study_path.write_text("name: small\n")
    jobs = FakeJobs()
    with pytest.raises(UserError, match=r"small.yaml:1: "):
        submit(jobs)
    assert not jobs.orders


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("/mnt/results", "/mnt/results"),
        ("/mnt/results/", "/mnt/results"),
        ("/", "/"),
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("gs://bucket", "gs://bucket"),
    ],
)
def test_a_place_that_lasts_is_written_in_one_way(place, written):
    assert check_place("--results", place) == written


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("results", "would lie in the job's own folder"),
        ("../results", "would lie in the job's own folder"),
        ("s3://key:secret@bucket/folder", "holds credentials"),
        ("s3://bucket/folder?secret_key=x", "holds credentials"),
        ("s3:///folder", "expected a whole path, or s3://"),
        ("file:///mnt/results", "expected a whole path, or s3://"),
        ("http://host/folder", "expected a whole path, or s3://"),
    ],
)
def test_a_place_that_a_job_would_lose_or_that_tells_a_secret_is_refused(place, line):
    with pytest.raises(UserError, match=line) as refusal:
        check_place("--results", place)
    assert "secret" not in str(refusal.value)


def test_facts_survive_their_way_through_ray():
    facts = JobFacts("small", "/results", "d", "tune-metalr submit 'my study.yaml'")
    assert JobFacts.read(facts.metadata()) == facts
    assert JobFacts.read({"job_submission_id": "raysubmit_1"}) is None
