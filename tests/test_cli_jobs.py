"""Commands on a cluster's jobs, as a user sees them, on a cluster that is none."""

import pytest
from typer.testing import CliRunner

from tests.jobs.fakes import URL, FakeJobs, a_job
from tune_metalr import cli, cli_jobs
from tune_metalr.errors import UserError
from tune_metalr.ray_pool.job import JobState

RUNNING = a_job()
KILLED = a_job(
    state=JobState.FAILED,
    exit_code=-9,
    message="Job entrypoint command failed with exit code -9, last available logs (truncated to "
    "20,000 chars):\n6 of 6 trials to run.\n",
)
BROKEN = a_job(state=JobState.FAILED, message="Failed to set up the environment: no disk\nmore")
DONE = a_job(state=JobState.SUCCEEDED, exit_code=0, message="Job finished successfully.")


@pytest.fixture
def ask(monkeypatch):
    """Run a command on a cluster that is none."""

    def command(jobs, *words):
        monkeypatch.setattr("tune_metalr.jobs.connecting.connect", lambda address: jobs)
        return CliRunner().invoke(cli.app, [*map(str, words), "--address", URL])

    return command


def test_a_run_that_was_killed_says_so_and_how_to_go_on(ask):
    result = ask(FakeJobs(["one\n", KILLED], jobs=[RUNNING]), "logs", "small-1", "--follow")
    assert result.exit_code == 128 + 9
    assert result.output.splitlines()[1:] == [
        "one",
        "small-1 has ended: failed.",
        "Ray says: Job entrypoint command failed with exit code -9",
        "To go on: tune-metalr submit small.yaml",
    ]


@pytest.mark.parametrize(("exit_code", "ended"), [(2, 2), (None, 1)])
def test_it_ends_as_the_run_does(ask, exit_code, ended):
    jobs = FakeJobs(["one\n", KILLED._replace(exit_code=exit_code)], jobs=[RUNNING])
    assert ask(jobs, "logs", "small-1", "--follow").exit_code == ended


def test_status_tells_why_a_job_did_not_run(ask):
    said = ask(FakeJobs([], jobs=[BROKEN]), "status", "small").output
    assert f"small-1 on {URL}: failed. Results: /results" in said
    assert "Ray says: Failed to set up the environment: no disk\n" in said


def test_status_of_a_job_that_succeeded_gives_no_reason(ask):
    assert "Ray says" not in ask(FakeJobs([], jobs=[DONE]), "status", "small").output


def test_a_job_that_does_not_end_is_told_with_what_to_do(ask, monkeypatch):
    monkeypatch.setattr(cli_jobs, "_ENDED_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(cli_jobs, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(FakeJobs, "stop", lambda self, job_id: None)
    result = ask(FakeJobs(jobs=[RUNNING]), "stop", "small")
    assert isinstance(result.exception, UserError)
    assert f"ask again: tune-metalr stop small-1 --address {URL}" in str(result.exception)


def test_stop_ends_the_job_of_the_study_that_runs(ask):
    jobs = FakeJobs(jobs=[a_job("small-2", JobState.SUCCEEDED, results="/theirs"), RUNNING])
    assert "small-1 has ended: stopped. To go on: " in ask(jobs, "stop", "small").output
    assert jobs.stopped == ["small-1"]


def test_submitting_says_what_was_submitted_and_followed_again_it_is_the_same(
    ask, study_path, monkeypatch
):
    monkeypatch.chdir(study_path.parent)
    jobs = FakeJobs(token=False)
    submit = ["submit", "small.yaml", "--results", "/mnt/r/", "--max-hours", "2", "--no-wait"]
    first = ask(jobs, *submit)
    (order,) = jobs.orders
    assert f"Submitted {order.job_id} to {URL}." in first.stdout
    assert "runs code for everybody" in first.stderr
    assert "Warning" not in first.stdout
    assert "--results /mnt/r --address auto --max-hours 2.0" in order.entrypoint
    assert order.facts.command == (
        f"tune-metalr submit small.yaml --address {URL} --results /mnt/r --max-hours 2.0"
    )
    again = ask(jobs, *submit)
    assert "Submitted" not in again.stdout
    assert again.stdout.startswith(f"{order.job_id} runs on {URL}. To follow it: ")
