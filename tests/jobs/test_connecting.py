"""How a cluster is reached, and what is said of its doors."""

import pytest

from tests.conftest import tune_metalr
from tests.jobs.fakes import FakeJobs, a_job
from tune_metalr.errors import UserError
from tune_metalr.jobs.connecting import connect, find_job, job_to_stop, open_doors
from tune_metalr.ray_pool.job import JobState

RESULTS = ["--results", "/results"]


def test_a_job_is_found_by_its_id_or_as_the_latest_of_its_study():
    jobs = FakeJobs(jobs=[a_job("small-2"), a_job("small-1"), a_job("other-1", study="other")])
    assert find_job(jobs, "small-1").job_id == "small-1"
    assert find_job(jobs, "small").job_id == "small-2"
    with pytest.raises(UserError, match="no job or study 'smal'; the latest: small-2, small-1"):
        find_job(jobs, "smal")
    with pytest.raises(UserError, match="no study was submitted there"):
        find_job(FakeJobs(), "small")


DONE = JobState.SUCCEEDED


def test_of_a_study_the_job_that_runs_is_meant_before_a_later_one_that_has_ended():
    jobs = FakeJobs(jobs=[a_job("small-2", DONE, results="/theirs"), a_job("small-1")])
    assert find_job(jobs, "small").job_id == "small-1"
    assert job_to_stop(jobs, "small").job_id == "small-1"
    assert job_to_stop(jobs, "small-2").job_id == "small-2"


def test_of_several_jobs_of_a_study_none_is_stopped_unless_it_is_named():
    jobs = FakeJobs(jobs=[a_job("small-2", results="/theirs"), a_job("small-1", results="/mine")])
    with pytest.raises(
        UserError, match=r"small-2 \(results in /theirs\), small-1 \(results in /mine\)"
    ):
        job_to_stop(jobs, "small")
    assert job_to_stop(jobs, "small-1").job_id == "small-1"


def test_of_jobs_that_have_all_ended_the_latest_is_meant():
    jobs = FakeJobs(jobs=[a_job("small-2", DONE), a_job("small-1", DONE)])
    assert find_job(jobs, "small") == job_to_stop(jobs, "small") == jobs.find("small-2")


@pytest.mark.parametrize(
    ("url", "token", "warnings"),
    [
        ("http://127.0.0.1:8265", True, []),
        ("http://[::1]:8265", True, []),
        ("http://localhost:8265", True, []),
        ("https://ray.example", True, []),
        ("http://127.0.0.1:8265", False, ["runs code for everybody"]),
        ("http://10.0.0.10:8265", True, ["is not encrypted"]),
        ("http://head:8265", False, ["runs code for everybody", "is not encrypted"]),
    ],
)
def test_open_doors_are_named(url, token, warnings):
    jobs = FakeJobs(token=token)
    jobs.url = url
    found = open_doors(jobs)
    assert len(found) == len(warnings)
    assert all(words in line for words, line in zip(warnings, found, strict=True))


WRONG_ADDRESSES = {
    "a client's address": ("ray://head:10001", "is not the URL of a dashboard"),
    "auto": ("auto", "is not the URL of a dashboard"),
    "a secret in the address": ("http://me:secret@head", "--address holds credentials"),
    "a secret beside it": ("http://head/?token=secret", "--address holds credentials"),
    "a wrong port": ("http://me:secret@head:99999", "is not the URL of a dashboard"),
}  # fmt: skip


@pytest.mark.parametrize(("address", "line"), WRONG_ADDRESSES.values(), ids=WRONG_ADDRESSES)
def test_a_wrong_address_is_told_and_no_secret_in_it(address, line):
    with pytest.raises(UserError, match=line) as error:
        connect(address)
    assert "secret" not in str(error.value)


@pytest.fixture
def no_requests(monkeypatch):
    monkeypatch.setattr("requests.request", lambda *_, **__: pytest.fail("it was sent"))
    monkeypatch.setattr("requests.get", lambda *_, **__: pytest.fail("it was sent"))


@pytest.mark.parametrize("address", ["http://10.0.0.10:8265", "head:8265"])
def test_a_token_that_others_could_read_is_not_sent(address, no_requests, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(UserError, match=r"the token would go to .* in clear text: use an SSH"):
        connect(address)


def test_what_is_wrong_here_is_told_before_anything_is_sent(study_path):
    study_path.write_text("name: small\n")
    submit = ["submit", study_path, "--address", "http://127.0.0.1:9"]
    result = tune_metalr(*submit, *RESULTS)
    assert result.returncode == 2
    assert f"{study_path}:1: " in result.stderr
    assert "no connection" not in result.stderr


def test_a_cluster_that_is_not_there_is_one_line(study_path):
    result = tune_metalr("submit", study_path, *RESULTS, "--address", "http://127.0.0.1:9")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "no connection to http://127.0.0.1:9: nothing answers there" in line


def test_a_token_that_is_named_but_not_there_is_one_line(study_path, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nowhere"))
    result = tune_metalr("logs", "small", "--address", "http://127.0.0.1:9")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"tune-metalr: there is no token in {tmp_path / 'nowhere'}, which RAY_AUTH_TOKEN_PATH names"
    ]
