"""A real Ray head that takes jobs, on the loopback alone, with a token; ended by its processes' ids."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import requests

from tests.clusters import DETECTION, raylet_among, start_node

_PATIENCE_SECONDS = 120.0
_PORTS = (
    "port",
    "dashboard-port",
    "node-manager-port",
    "object-manager-port",
    "ray-client-server-port",
    "metrics-export-port",
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "runtime-env-agent-port",
)


class Head:
    """Where a head listens, and what it asks for; nodes may join it."""

    def __init__(self, folder: Path, token: str | None) -> None:
        self.folder = folder
        self.token = token
        self.ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self.url = f"http://127.0.0.1:{self.ports['dashboard-port']}"
        self.address = self.url
        self._num_nodes = 0
        self.processes: list[psutil.Process] = []
        """All that were started."""

    def environment(self) -> dict[str, str]:
        """Return what a laptop needs to be let in."""
        return {"RAY_AUTH_TOKEN": self.token} if self.token else {}

    def add_node(self, *, cpus: int = 1) -> psutil.Process:
        """Start one more node, which has this process's token; return its raylet."""
        assert self.token == os.environ["RAY_AUTH_TOKEN"]
        before = set(psutil.Process().children(recursive=True))
        address = f"127.0.0.1:{self.ports['port']}"
        # What a job ships lies in a node's folder: one that ends deletes it, and no other's.
        folder = self.folder / f"n{self._num_nodes}"
        self._num_nodes += 1
        start_node(head=False, folder=str(folder), gcs_address=address, num_cpus=cpus)
        started = set(psutil.Process().children(recursive=True)) - before
        self.processes += started
        return raylet_among(started)


def new_token() -> str:
    """Return a token that nobody knows."""
    return secrets.token_hex(32)


@contextmanager
def ray_head(token: str | None, *, num_cpus: int = 1) -> Iterator[Head]:
    """Start a head with ports and a folder of its own; kill what it started, and nothing else."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="rh", dir="/tmp"))  # Ray's sockets need a short path
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        head = Head(folder, token)
        log = stack.enter_context((folder / "start.log").open("w"))
        starter = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
             "--disable-usage-stats", "--include-log-monitor=false", "--dashboard-host=127.0.0.1",
             f"--num-cpus={num_cpus}", f"--temp-dir={folder}", f"--object-store-memory={100 * 2**20}",
             f"--plasma-directory={folder}", f"--system-config={json.dumps(DETECTION)}",
             *(f"--{name}={port}" for name, port in head.ports.items())],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=_environment(token), cwd=folder, start_new_session=True,
        )  # fmt: skip
        stack.callback(_end, psutil.Process(starter.pid), head.processes)
        _wait(head, starter, folder / "start.log")
        yield head


def _environment(token: str | None) -> dict[str, str]:
    """Return what a cluster's node has: nothing of the checkout, and the token."""
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    ours = ("TUNE_METALR", "RAY_", "TUNE_", "PYTHONPATH", "PYTEST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return (
        kept
        | (known if token else {"RAY_AUTH_MODE": "disabled"})
        | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "RAY_USAGE_STATS_ENABLED": "0",
            # The node is 127.0.0.1: no port is open to others.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "TUNE_METALR_CACHE": os.environ["TUNE_METALR_CACHE"],
        }
    )


def _wait(head: Head, starter: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until jobs are taken: the dashboard answers before its agent does."""
    headers = {"Authorization": f"Bearer {head.token}"} if head.token else {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert starter.poll() is None, log.read_text()
        head.processes[:] = psutil.Process(starter.pid).children(recursive=True)
        with suppress(requests.ConnectionError):
            answer = requests.get(f"{head.url}/api/jobs/", headers=headers, timeout=10)
            if answer.status_code == 200:
                return
        time.sleep(0.5)
    raise AssertionError(f"the head did not start in {_PATIENCE_SECONDS:.0f} s: {log.read_text()}")


def _end(starter: psutil.Process, known: list[psutil.Process]) -> None:
    processes = {starter, *known}
    with suppress(psutil.Error):
        processes |= set(starter.children(recursive=True))
    for process in list(processes):
        with suppress(psutil.Error):
            processes |= set(process.children(recursive=True))
    for process in processes:
        with suppress(psutil.Error):  # psutil compares start times: a reused id is never killed
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
