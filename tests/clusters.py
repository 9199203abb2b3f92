"""A Ray cluster of several real raylets on this machine, each of which a test may kill.

Its folder, its ports and its token are its own. Whatever it started, it ends by process id.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from ray._private import node
from ray._private.parameter import RayParams
from ray.experimental import internal_kv

DETECTION = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
"""A node that does not answer is given up after three seconds instead of fifteen or more."""

OBJECT_STORE_BYTES = 80 * 2**20

_HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'
_ENVIRONMENT = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")


class RayCluster:
    """A head without CPUs, and nodes that come and go."""

    def __init__(self, **system_config: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tm-", dir="/tmp"))
        self._processes: set[psutil.Process] = set()
        before = _children()
        config = DETECTION | system_config
        self.head = self._start_head(config)
        self._processes |= _children() - before
        self.address: str = self.head.gcs_address

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_node(self, *, cpus: int = 1, gpus: int = 0, **resources: float) -> psutil.Process:
        """Start one more node; return its raylet."""
        before = _children()
        start_node(head=False, **self._options(cpus, gpus, resources))
        started = _children() - before
        self._processes |= started
        return raylet_among(started)

    def add_blind_node(self, hidden: Path, *, cpus: int = 1) -> psutil.Process:
        """Start one more node, from which a folder cannot be seen; return its raylet."""
        options = json.dumps(self._options(cpus, 0, {}))
        process = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", _HIDE, "sh", str(hidden),
             sys.executable, "-m", "tests.cluster_node", options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        started = psutil.Process(process.pid)
        self._processes.add(started)
        assert process.stdout
        while (line := process.stdout.readline()) != "ready\n":
            assert line, "the node did not start"
        return raylet_among(started.children(recursive=True))

    def busy_workers(self) -> set[psutil.Process]:
        """Return the workers of all nodes that run a trial now."""
        return {worker for process in self._processes for worker in busy_workers(process)}

    def environment(self) -> dict[str, str]:
        """Return what a driver needs to be let in."""
        return {name: os.environ[name] for name in _ENVIRONMENT}

    def kill(self) -> None:
        """End every process of the cluster."""
        ended = []
        for process in self._processes:
            with suppress(psutil.Error):
                for each in [*process.children(recursive=True), process]:
                    with suppress(psutil.Error):
                        each.kill()
                        ended.append(each)
        # Nobody else waits for them: they would stay this process's children until it ends.
        psutil.wait_procs(ended, timeout=10)

    def _start_head(self, system_config: object) -> node.Node:
        return start_node(
            head=True, folder=str(self.folder), num_cpus=0, system_config=system_config
        )

    def _options(self, cpus: int, gpus: int, resources: dict[str, float]) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "gcs_address": self.address,
            "num_cpus": cpus,
            "num_gpus": gpus,
            "resources": resources or None,
        }


def start_node(
    *, head: bool, folder: str, system_config: object = None, **options: Any
) -> node.Node:
    """Start the processes of one node."""
    defaults: dict[str, Any] = {
        "temp_dir": folder,
        "object_store_memory": OBJECT_STORE_BYTES,
        "plasma_directory": folder,
        "min_worker_port": 0,
        "max_worker_port": 0,
        "node_manager_port": 0,
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
    }
    params = RayParams(**(defaults | options))
    if system_config:
        params.update_if_absent(_system_config=system_config)
    started = node.Node(params, head=head, shutdown_at_exit=False, spawn_reaper=False)
    # It left Ray a client of its head, for everybody in this process. Once the head is dead, the
    # next use of Tune would ask through it, wait for 60 s, and be ended by Ray without a word.
    internal_kv._internal_kv_reset()
    return started


def raylet_among(processes: Any) -> psutil.Process:
    """Return the raylet among a node's processes."""
    (raylet,) = [process for process in processes if process.name() == "raylet"]
    found: psutil.Process = raylet
    return found


def busy_workers(ancestor: psutil.Process) -> list[psutil.Process]:
    """Return the workers below a process, such as a raylet, that run a trial now."""
    if not ancestor.is_running():
        return []
    found = []
    for child in ancestor.children(recursive=True):
        with suppress(psutil.Error):
            if child.cmdline() and child.cmdline()[0].startswith("ray::ResourceTrainable.train"):
                found.append(child)
    return found


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))
