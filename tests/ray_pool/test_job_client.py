"""Ray's job client against a server that answers what a test wants; a real head is in tests/jobs."""

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import threading
import time
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from rich.console import Console

from tests.conftest import COMMAND, tune_metalr
from tune_metalr.errors import UserError
from tune_metalr.jobs.connecting import connect
from tune_metalr.jobs.following import Follower
from tune_metalr.ray_pool import job_client
from tune_metalr.ray_pool.job import JobFacts, JobOrder, JobState, LostConnectionError
from tune_metalr.ray_pool.job_client import JobClient

# Ray gives aiohttp what the latter's next version will not take.
pytestmark = pytest.mark.filterwarnings("ignore:ssl=None:DeprecationWarning")

VERSION = {"version": "4", "ray_version": "2.60.0", "ray_commit": "c", "session_name": "s"}
FACTS = JobFacts("small", "/results", "d", "tune-metalr submit small.yaml")


def details(submission_id, start_time, metadata, status="RUNNING"):
    return {
        "type": "SUBMISSION", "submission_id": submission_id, "status": status, "entrypoint": "e",
        "metadata": metadata, "start_time": start_time,
    }  # fmt: skip


@pytest.fixture
def server():
    """Answers by method and path: a status and a body, or what a function does."""
    answers = {("GET", "/api/version"): (200, json.dumps(VERSION))}

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            default = answers.get(self.command, (404, "not here"))
            given = answers.get((self.command, self.path), default)
            status, body = given(self) if callable(given) else given
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *arguments):
            pass

        def handle(self):
            with suppress(ConnectionError):
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        answers["url"] = f"http://127.0.0.1:{http.server_port}"
        yield answers
        http.shutdown()
        thread.join()


def test_jobs_of_ours_are_listed_the_latest_first(server):
    server["GET", "/api/jobs/"] = (200, json.dumps([
        details("small-1", 1, FACTS.metadata(), "SUCCEEDED"), details("theirs", 3, {}),
        details("small-2", 2, FACTS.metadata()), details(None, 4, None) | {"type": "DRIVER"},
    ]))  # fmt: skip
    jobs = JobClient(server["url"])
    assert [job.job_id for job in jobs.all()] == ["small-2", "small-1"]
    found = jobs.find("small-1")
    assert (found.state, found.facts) == (JobState.SUCCEEDED, FACTS)
    assert jobs.find("theirs") is None


@pytest.mark.parametrize(("status", "asks"), [(200, False), (401, True), (403, True)])
def test_a_cluster_that_asks_nobody_for_a_token_is_found(server, status, asks):
    def answer(handler):
        assert "Authorization" not in handler.headers
        return status, "[]"

    jobs = JobClient(server["url"])
    server["GET", "/api/jobs/"] = answer
    assert jobs.asks_for_a_token() is asks


def test_the_address_that_is_given_wins(server, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    assert JobClient(server["url"]).ray_version == "2.60.0"
    assert "RAY_ADDRESS" not in os.environ


def test_another_version_of_ray_is_refused(server):
    server["GET", "/api/version"] = (200, json.dumps(VERSION | {"ray_version": "2.49.0"}))
    with pytest.raises(UserError, match=r"runs Ray 2\.49\.0; this version needs 2\.60"):
        connect(server["url"])


@pytest.mark.parametrize("answer", [(404, "not here"), (200, "<html>"), (200, "{}"), (200, "[]")])
def test_what_is_no_cluster_is_told_in_one_line(server, answer):
    server["GET", "/api/version"] = answer
    with pytest.raises(UserError, match="is not the dashboard of a Ray cluster: ") as refusal:
        JobClient(server["url"])
    assert len(str(refusal.value).splitlines()) == 1


def test_a_server_that_is_in_trouble_may_answer_later(server):
    jobs = JobClient(server["url"])
    server["GET", "/api/jobs/"] = (503, "busy")
    with pytest.raises(LostConnectionError, match="it answers with status 503"):
        jobs.all()


def test_a_server_that_does_not_answer_is_not_waited_for(server, monkeypatch):
    jobs = JobClient(server["url"])
    monkeypatch.setattr(job_client, "_TIMEOUT_SECONDS", 0.1)
    silent = threading.Event()

    class Silent(str):
        def encode(self):
            silent.wait(5)
            return b""

    server["GET", "/api/jobs/"] = (200, Silent())
    with pytest.raises(LostConnectionError, match="no answer within"):
        jobs.all()
    silent.set()


def spoken(handler, *texts):
    """Answer as a websocket does that says some texts and ends."""
    key = handler.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    handler.send_response(101)
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    accepted = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    handler.send_header("Sec-WebSocket-Accept", accepted)
    handler.end_headers()
    for text in texts:
        handler.wfile.write(bytes([0x81, len(text)]) + text.encode())
    handler.wfile.write(b"\x88\x02\x03\xe8")
    handler.rfile.read(8)  # it says good-bye, too
    handler.close_connection = True
    raise ConnectionAbortedError  # there is nothing more to answer


TAIL = ("GET", "/api/jobs/small-1/logs/tail")


def test_a_log_is_followed_to_its_end(server):
    server[TAIL] = lambda handler: spoken(handler, "one\n", "two\n")
    told = JobClient(server["url"]).tail("small-1")
    assert [text for text in told if text] == ["one\n", "two\n"]


@pytest.mark.parametrize("status", [401, 403, 404, 502])
def test_a_log_that_is_not_given_is_a_lost_connection(server, status):
    server[TAIL] = (status, "no")
    with pytest.raises(LostConnectionError, match=str(status)):
        list(JobClient(server["url"]).tail("small-1"))


def test_a_job_that_a_new_head_does_not_know_is_not_followed_for_ever(server):
    server["GET", "/api/jobs/"] = (200, "[]")
    jobs = JobClient(server["url"])
    with pytest.raises(UserError, match="does not know small-1 any more"):
        Follower(jobs, Console(file=io.StringIO())).follow("small-1")


def test_a_token_that_a_new_head_does_not_take_is_told(server):
    server[TAIL] = server["GET", "/api/jobs/"] = (403, "Forbidden")
    jobs = JobClient(server["url"])
    with pytest.raises(UserError, match="refuses this token"):
        Follower(jobs, Console(file=io.StringIO())).follow("small-1")


BYTES = random.Random(0).randbytes(2**22)


@pytest.fixture
def order(tmp_path):
    folder = tmp_path / "job"
    (folder / "data" / "venv").mkdir(parents=True)
    (folder / "data" / "venv" / "one.bin").write_bytes(BYTES)
    (folder / "data" / ".gitignore").write_text("*.bin")
    return JobOrder("small-1", "exec python", folder, {"A": "1"}, FACTS)


class Taken:
    """What a head was sent: bodies by method and place."""

    def __init__(self):
        self.bodies = {}
        self.pause_seconds = 0
        """Between two blocks of what is read."""

    def __call__(self, handler):
        body = bytearray()
        while len(body) < int(handler.headers["Content-Length"]):
            body += handler.rfile.read1(2**16)
            time.sleep(self.pause_seconds)
        self.bodies[handler.command, handler.path.split("/")[2]] = bytes(body)
        return 200, json.dumps({"job_id": "small-1", "submission_id": "small-1"})


@pytest.fixture
def taken(server):
    server["PUT"] = server["POST"] = Taken()
    return server["PUT"]


def test_all_of_a_folder_is_shipped_whatever_its_names(server, order, taken):
    JobClient(server["url"]).submit(order)
    with zipfile.ZipFile(io.BytesIO(taken.bodies["PUT", "packages"])) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    assert names == {"data/venv/one.bin", "data/.gitignore"}
    asked = json.loads(taken.bodies["POST", "jobs"])
    assert (asked["entrypoint"], asked["submission_id"]) == ("exec python", "small-1")
    assert asked["metadata"] == FACTS.metadata()


def test_a_slow_line_ships_for_longer_than_one_answer_may_take(server, order, taken, monkeypatch):
    jobs = JobClient(server["url"])
    monkeypatch.setattr(job_client, "_TIMEOUT_SECONDS", 0.2)
    taken.pause_seconds = 0.02
    start = time.monotonic()
    jobs.submit(order)
    assert time.monotonic() - start > 0.4
    assert len(taken.bodies["PUT", "packages"]) > len(BYTES)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (requests.exceptions.ProxyError("407 Proxy Authentication"), "the proxy .*: 407 Proxy"),
        (requests.exceptions.TooManyRedirects("Exceeded 30 redirects."), "Exceeded 30 redirects"),
        (requests.ConnectionError("refused"), "nothing answers there"),
    ],
)
def test_what_is_in_the_way_is_told(server, monkeypatch, error, line):
    jobs = JobClient(server["url"])

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("requests.request", fail)
    with pytest.raises(LostConnectionError, match=line):
        jobs.all()


@pytest.mark.parametrize("is_empty", [True, False], ids=["empty", "none"])
def test_a_token_that_is_wanted_and_not_there_is_one_line(server, tmp_path, is_empty):
    if is_empty:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    result = subprocess.run(
        [*COMMAND, "logs", "x", "--address", server["url"]], capture_output=True, text=True,
        env=clean | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token"}, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert "put the cluster's token into ~/.ray/auth_token" in line


def test_of_a_traceback_the_last_line_is_told(server):
    jobs = JobClient(server["url"])
    server["POST", "/api/jobs/small-1/stop"] = (500, "Traceback:\n  File\nOSError: no agent\n")
    with pytest.raises(UserError, match=r"refuses: OSError: no agent$"):
        jobs.stop("small-1")


def test_a_command_sends_no_other_address_and_ends_with_one_line(server):
    server["GET", "/api/jobs/"] = (200, "[]")
    result = tune_metalr("stop", "small", "--address", server["url"])
    assert result.returncode == 2
    assert result.stderr.endswith("no job or study 'small'; no study was submitted there\n")
    assert len(result.stderr.splitlines()) == 1
