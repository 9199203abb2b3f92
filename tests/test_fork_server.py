"""The fork server without Ray: what it forks is what Ray's command would have started."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from tune_metalr import forked_worker
from tune_metalr.fork_server import ForkServer

pytestmark = pytest.mark.timeout(120)

WORKER = """\
import json, os, sys
from pathlib import Path
import numpy, ray
loaded = "torch" in sys.modules
drawn = [ray.NodeID.from_random().hex(), float(numpy.random.random())]
told = [sys.argv[1:], os.environ["MINE"], os.getcwd(), os.getppid(), loaded, drawn]
Path("new").write_text(json.dumps(told))
Path("new").rename("told")
sys.exit(3)
"""


@pytest.fixture
def start_worker(tmp_path, monkeypatch):
    """Return a function that starts a worker as Ray does, and returns what the worker tells."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    monkeypatch.setenv(forked_worker.WORKER, str(script))
    monkeypatch.setenv(forked_worker.SOCKET, str(tmp_path / "fork"))
    monkeypatch.setenv("RAY_JOB_ID", "01000000")
    monkeypatch.setenv("RAY_RAYLET_PID", str(os.getpid()))

    def start(**environment):
        command = [sys.executable, forked_worker.__file__, "--an", "option"]
        subprocess.run(command, env=os.environ | {"MINE": "x"} | environment, cwd=tmp_path)
        deadline = time.monotonic() + 60
        while not (tmp_path / "told").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        told = json.loads((tmp_path / "told").read_text())
        (tmp_path / "told").unlink()
        assert told[:3] == [["--an", "option"], "x", str(tmp_path)]
        return told[3:]

    return start


def server_process():
    """Return the server; for a moment after its start it still has this process's name."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in psutil.Process().children():
            with suppress(psutil.ZombieProcess):  # another test's, which has ended
                if "fork_server" in str(child.cmdline()):
                    return child
        time.sleep(0.02)
    raise AssertionError("the server was not started")


def test_a_worker_is_forked_with_its_modules_loaded(start_worker, tmp_path):
    with ForkServer() as server:
        server.listen(tmp_path / "fork")
        server.serve(os.getpid())
        process = server_process()
        *first, first_drawn = start_worker()
        *second, second_drawn = start_worker()
        assert first == second == [process.pid, True]
        assert not set(first_drawn) & set(second_drawn)
    assert not process.is_running()


def test_a_worker_of_another_raylet_starts_afresh(start_worker, tmp_path):
    with ForkServer() as server:
        server.listen(tmp_path / "fork")
        server.serve(os.getpid())
        assert start_worker(RAY_RAYLET_PID="1")[1] is False


def test_a_server_that_has_died_is_done_without(start_worker, tmp_path):
    with ForkServer() as server:
        process = server_process()
        process.kill()
        server._process.wait()
        server.listen(tmp_path / "fork")
        server.serve(os.getpid())
        assert start_worker()[1] is False


def test_a_worker_does_without_a_server(start_worker):
    assert start_worker()[1] is False


def test_the_server_ends_with_its_driver(tmp_path):
    code = (
        "import os; from tune_metalr.fork_server import ForkServer;"
        "server = ForkServer(); print(server._process.pid, flush=True); os._exit(1)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(output)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(int(output))
