"""`submit` on a real Ray head with token authentication; it takes minutes."""

import os
import re
import signal
import subprocess
import time

import psutil
import pytest

from tests.conftest import COMMAND, REPOSITORY, SMALL_STUDY, tune_metalr
from tests.jobs.head import new_token, ray_head
from tests.jobs.proxy import Proxy
from tune_metalr.ledger import Ledger
from tune_metalr.provenance import provenance
from tune_metalr.trial import COLUMNS

pytestmark = pytest.mark.heavy

OWN_OPTIMIZER = """\
import torch


class Halved(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr / 2)
"""
OWN_STUDY = SMALL_STUDY + "  halved: {optimizer: halved_rate.Halved, lr: 1e-2}\n"
LONG_STUDY = SMALL_STUDY.replace("epochs: 2", "epochs: 200").replace("seeds: 3", "seeds: 12")
SUBMIT_SECONDS = 300


@pytest.fixture(scope="module")
def head():
    with ray_head(new_token(), num_cpus=2) as started:
        yield started
    left = [process for process in started.processes if process.is_running()]
    assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def here(tmp_path, monkeypatch, head):
    """A laptop: it has the token, and a folder with a study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    token = tmp_path / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(head.token)
    return tmp_path


def start(*arguments):
    """Run a command that goes on meanwhile."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=environment | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def rows(results):
    """Return what of a ledger is the same wherever it was made."""
    names = [column.name for column in COLUMNS if column.reproducible]
    table = Ledger(results).trials().table
    found = table.select([name for name in names if name in table.column_names]).to_pylist()
    return sorted(found, key=lambda row: row["trial_id"])


def wait_until(condition, *, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


def num_rows(results):
    return len(Ledger(results).statuses()) if results.exists() else 0


NONE = (None, "asks for a token: put the cluster's token into ~/.ray/auth_token")
ANOTHER = ("0" * 64, "refuses this token: put the cluster's token into ~/.ray/auth_token")


@pytest.mark.parametrize(
    ("command", "token", "line"),
    [("submit", *NONE), ("submit", *ANOTHER), ("status", *NONE), ("logs", *NONE), ("stop", *NONE)],
    ids=["submit", "submit with another", "status", "logs", "stop"],
)
def test_without_the_token_the_cluster_does_nothing_and_one_line_says_why(
    here, head, command, token, line
):
    (here / "small.yaml").write_text(SMALL_STUDY)
    file = here / "home" / ".ray" / "auth_token"
    file.unlink() if token is None else file.write_text(token)
    options = ["--results", here / "results"] if command == "submit" else []
    refused(tune_metalr(command, "small.yaml", "--address", head.url, *options), line)
    assert not (here / "results").exists()


@pytest.mark.parametrize("token", [None, "0" * 64], ids=["none", "another"])
def test_a_run_is_not_let_into_the_cluster_either(here, head, token):
    (here / "small.yaml").write_text(SMALL_STUDY)
    (here / "home" / ".ray" / "auth_token").unlink()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    theirs = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
    theirs["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray looks for the head elsewhere
    result = subprocess.run(
        [*COMMAND, "run", "small.yaml", "--results", "results", "--address",
         f"127.0.0.1:{head.ports['port']}"],
        env=clean | theirs, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 2, result.stdout + result.stderr
    # Before it, Ray's own code says each second that the token is missing.
    *_, line = result.stderr.splitlines()
    assert "does not let this in: if it asks for its token, set RAY_AUTH_MODE=token" in line
    assert not Ledger(here / "results" / "small").statuses()


def refused(result, line):
    assert result.returncode == 2, result.stdout + result.stderr
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_study_with_code_of_the_users_runs_as_it_does_here_over_a_connection_that_breaks(
    here, head
):
    (here / "halved_rate.py").write_text(OWN_OPTIMIZER)
    (here / "small.yaml").write_text(OWN_STUDY)
    with (
        Proxy(head.url) as proxy,
        start("submit", "small.yaml", "--address", proxy.url, "--results", here / "there") as job,
    ):
        lines = []
        for line in job.stdout:
            lines.append(line.rstrip("\n"))
            if "trials to run" in line:
                proxy.cut()
            if line.startswith("Lost the connection"):
                time.sleep(5)
                proxy.mend()
        assert job.wait(SUBMIT_SECONDS) == 0, lines
        assert proxy.num_cuts
    text = "\n".join(lines)
    assert "Warning" not in text
    assert text.count("Lost the connection") == text.count("Connected again.") == 1
    assert text.count("9 of 9 trials to run.") == 1
    assert text.count("Look next:") == 1
    assert "9 of 9 trials ended, 0 running, 0 diverged, 0 failed" in text
    assert "tune-metalr-progress" not in text

    run = tune_metalr("run", "small.yaml", "--results", here / "alone", timeout=SUBMIT_SECONDS)
    assert run.returncode == 0, run.stderr
    assert rows(here / "there" / "small") == rows(here / "alone" / "small")
    row = Ledger(here / "there" / "small").trials().table.to_pylist()[0]
    for name in ("project_version", "project_commit", "torch_version", "ray_version"):
        assert row[name] == provenance()[name]
    written = [path for path in (here / "there").rglob("*") if path.is_file()]
    assert not [path for path in written if head.token.encode() in path.read_bytes()]


def test_a_job_is_left_looked_at_stopped_and_gone_on_with(here, head):
    (here / "small.yaml").write_text(LONG_STUDY)
    results = here / "there" / "small"
    submit = ["submit", "small.yaml", "--address", head.url, "--results", here / "there"]

    first = tune_metalr(*submit, "--no-wait")
    assert first.returncode == 0, first.stderr
    job_id = re.search(r"Submitted (small-\w+)", first.stdout)[1]
    assert f"tune-metalr stop {job_id} --address {head.url}" in first.stdout

    wait_until(lambda: num_rows(results) >= 2)
    with start(*submit) as again:
        said = again.stdout.readline()
        assert said == f"Following {job_id}; Ctrl-C leaves it running.\n"
        again.send_signal(signal.SIGINT)
        said = again.stdout.read()
        assert again.wait(30) == 130
    assert f"To follow it: tune-metalr logs {job_id} --address {head.url} --follow" in said
    assert "Traceback" not in said
    status = tune_metalr("status", "small", "--address", head.url).stdout
    assert f"{job_id} on {head.url}: running. Results: {here / 'there'}" in status
    assert "sgd-0.001" in status
    logs = tune_metalr("logs", job_id, "--address", head.url).stdout
    assert "24 of 24 trials to run." in logs

    (here / "small.yaml").write_text(LONG_STUDY.replace("seeds: 12", "seeds: 13"))
    other = tune_metalr(*submit)
    assert other.returncode == 2
    assert f"{job_id} runs another form of this study" in other.stderr
    (here / "small.yaml").write_text(LONG_STUDY)

    stopped = tune_metalr("stop", "small", "--address", head.url)
    assert stopped.returncode == 0, stopped.stderr
    assert f"{job_id} has ended: stopped. To go on: tune-metalr submit small.yaml" in stopped.stdout
    assert (
        "has ended already: stopped" in tune_metalr("stop", "small", "--address", head.url).stdout
    )
    before = Ledger(results).statuses()
    assert 2 <= len(before) < 24
    # The run was given the time to say good-bye, and names the command that the user knows.
    logs = tune_metalr("logs", job_id, "--address", head.url).stdout
    assert f"Stopped. To go on: tune-metalr submit small.yaml --address {head.url}" in logs
    assert "tune-metalr submit small.yaml" in tune_metalr("status", results).stdout

    last = tune_metalr(*submit, timeout=SUBMIT_SECONDS)
    assert last.returncode == 0, last.stdout + last.stderr
    assert f"{24 - len(before)} of 24 trials to run." in last.stdout
    trials = Ledger(results).trials().table.to_pylist()
    assert len(trials) == len({row["trial_id"] for row in trials}) == 24
    assert {row["status"] for row in trials} == {"completed"}


def test_a_study_that_fails_on_the_cluster_fails_here(here, head):
    (here / "small.yaml").write_text(SMALL_STUDY.replace("digits-cnn", "mnist-cnn"))
    result = tune_metalr(
        "submit", "small.yaml", "--address", head.url, "--results", here / "there", "--data-dir",
        "/nowhere", timeout=SUBMIT_SECONDS,
    )  # fmt: skip
    assert result.returncode == 2
    assert "point --data-dir or TUNE_METALR_DATA at a folder" in result.stdout
    assert "Traceback" not in result.stdout
