"""A process that imports what trials need, once, and forks a worker whenever Ray asks for one.

A worker of its own takes four seconds of CPU to import torch, Ray and Tune, and as many start at
once as there are CPUs. A forked one takes a tenth of a second and shares its modules' memory.

The server is the first thing that a run starts, and imports while the driver reads the study and
starts Ray. It has one Python thread, so that it can fork, and ends when the driver does.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self

from tune_metalr.forked_worker import SOCKET

# What a trial needs, and what Tune imports before its own.
_MODULES = ("tune_metalr.worker", "pandas", "requests", "fsspec")
_RAY_MODULES = ("tune_metalr.ray_pool.forkable", "tune_metalr.ray_pool.tune_parts")

ALLOCATOR = {
    # glibc would return each large tensor to the system and fetch it again, page by page: kept,
    # a step of an LSTM takes a quarter less time, an evaluation half. The numbers stay the same.
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
"""Read when a process starts, so it must be in the environment before."""

_MOST_WAITING = 1024
"""Workers that ask before the imports are done."""

# Ray 2.60 reads its environment when it is imported, and ends a worker that lacks these two. A
# private cluster has one job.
_RAYLET = "RAY_RAYLET_PID"
_JOB = "RAY_JOB_ID"
_FIRST_JOB = "01000000"


class ForkServer:
    """The driver's side: starts the server, says whom to serve, and stops it."""

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads
        """Of a trial; numerical libraries read it when they are imported."""
        self._line, its_end = socket.socketpair()
        count = str(threads)
        environment = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
        environment |= ALLOCATOR
        # It looks for modules where this process does, and nowhere else.
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=its_end.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | environment,
                start_new_session=True,  # Ctrl-C is the driver's
            )

    def __enter__(self) -> Self:
        """Start nothing: it imports already."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop at once; workers end with Ray."""
        self._process.kill()
        self._process.wait()
        self._line.close()

    def listen(self, path: Path) -> None:
        """Make the socket at which the workers that this process's Ray starts ask for a fork."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(_MOST_WAITING)
            with suppress(OSError):  # it has died: workers then start by themselves
                socket.send_fds(self._line, [b"\n"], [listener.fileno()])
        os.environ[SOCKET] = str(path)

    def serve(self, raylet: int) -> None:
        """Let it import Ray, with this environment, as a worker of the raylet with this id."""
        environment = dict(os.environ) | {_RAYLET: str(raylet), _JOB: _FIRST_JOB}
        with suppress(OSError):
            self._line.sendall(json.dumps(environment).encode() + b"\n")


def _main() -> None:
    """Import, and serve until the driver has ended."""
    gc.disable()  # a fifth of the time
    _import(_MODULES)
    line = socket.socket(fileno=sys.stdin.fileno())
    _, listeners, _, _ = socket.recv_fds(line, 1, 1)
    stream = line.makefile("rb")
    if not listeners or not (environment := stream.readline()):
        return
    os.environ.update(json.loads(environment))
    _import(_RAY_MODULES)
    gc.freeze()  # a collection would write to the memory that is shared
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers
    with socket.socket(fileno=listeners[0]) as listener:
        while listener in select.select([listener, line], [], [])[0]:
            if order := _receive(listener):
                _fork(order, listener)


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        with suppress(Exception):  # it is raised again in the trial, which records it
            importlib.import_module(name)


def _receive(listener: socket.socket) -> dict[str, Any] | None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as stream:
        order = stream.read()
    return json.loads(order) if order else None


def _fork(order: dict[str, Any], listener: socket.socket) -> None:
    if os.fork() == 0:
        listener.close()
        _become_worker(**order)


def _become_worker(arguments: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    """Go on as the process that Ray's command would have started."""
    import numpy as np

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)  # Ray stops a worker together with its group
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.chdir(folder)
    np.random.seed()  # Python's own generator does so by itself
    fits = all(environment.get(name) == os.environ[name] for name in (_RAYLET, _JOB))
    os.environ.clear()
    os.environ.update(environment)
    if not fits:
        os.execv(sys.executable, [sys.executable, *arguments])
    sys.argv = arguments
    code = 1
    try:
        runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


if __name__ == "__main__":
    _main()
