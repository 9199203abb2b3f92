"""A private Ray cluster on this machine that starts in a second instead of six.

Facts about Ray 2.60 that shape this file (`ray/_private/node.py` and `services.py`, measured on
two cores):
- `ray.init` also starts an API server (waited for: 2-4 s), an autoscaler's monitor, a log monitor
  and two agents, each a Python process that costs a second of CPU. Nobody asks them anything:
  no dashboard is shown, no log is printed, and no worker has a runtime environment.
- The raylet insists on two agents and waits for their ports, without which it is not part of the
  cluster. A shell that waits for the raylet's end stands for each, and the ports lie ready.
- A node that is not known yet is asked for again a second later, in C, and so is a socket.

No setting turns these off, so `ray.init` is given a node of ours. Tests count the processes.
"""

import functools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import node, ray_constants, services, utils, workers
from ray._raylet import persist_port  # type: ignore[attr-defined]

from tune_metalr import forked_worker
from tune_metalr.fork_server import ForkServer

_AGENTS_PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)
_NOBODYS_PORT = 1
_STAND_IN = ["/bin/sh", "-c", "read _"]
"""Ends when its standard input does; what follows in the command is not looked at."""

_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 30.0


class LeanNode(node.Node):
    """A head node without Ray's helpers, whose workers come from the fork server."""

    def __init__(self, fork_server: ForkServer, *, ray_params: Any, **options: Any) -> None:
        self._fork_server = fork_server
        os.environ[forked_worker.WORKER] = str(
            Path(workers.__file__).with_name("default_worker.py")
        )
        ray_params.update(
            include_log_monitor=False, no_monitor=True, worker_path=forked_worker.__file__
        )
        super().__init__(ray_params, **options)

    def start_api_server(self, **options: Any) -> None:
        """Start none, and give its address as such."""
        self._webui_url = ""

    def start_raylet(self, *arguments: Any, **options: Any) -> None:
        """Start the raylet with stand-ins for its agents, and wait until it is known."""
        for name in _AGENTS_PORTS:
            persist_port(self._session_dir, self._node_id, name, _NOBODYS_PORT)
        with (
            _replaced(services, "_build_python_executable_command_memory_profileable", _stand_in),
            # It imports the dashboard to find out whether that can be imported.
            _replaced(utils, "get_dashboard_dependency_error", lambda: None),
        ):
            super().start_raylet(*arguments, **options)
        (raylet,) = self.all_processes[ray_constants.PROCESS_TYPE_RAYLET]
        self._fork_server.serve(raylet.process.pid)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        cluster: Any = self.get_gcs_client()  # type: ignore[no-untyped-call]
        while not cluster.get_all_node_info() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def start_local_cluster(fork_server: ForkServer, **options: Any) -> None:
    """Call `ray.init` for a new cluster of such a node."""
    with _replaced(node, "Node", functools.partial(LeanNode, fork_server)):
        ray.init(address="local", **options)


def _stand_in(component: str, session_dir: str, unbuffered: bool = True) -> list[str]:
    return _STAND_IN


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
