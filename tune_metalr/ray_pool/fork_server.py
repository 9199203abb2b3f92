"""A process that imports what trials need, once, and forks a worker whenever Ray asks for one.

A worker of its own takes three seconds of CPU to import Ray, Tune and torch, and as many start at
once as there are CPUs. A forked one takes a tenth of a second and shares its modules' memory.

The server imports while the driver starts Ray. It has one Python thread, so that it can fork, and
ends with its standard input, a pipe that the driver holds.
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
from typing import NoReturn

from tune_metalr.ray_pool.forked_worker import SOCKET

_MODULES = ("tune_metalr.worker", "pandas", "requests", "fsspec")
"""What a trial needs, and what Tune imports before its own."""
_RAY_MODULES = ("tune_metalr.ray_pool.tune_parts",)
_MOST_WAITING = 1024
"""Workers that ask before the imports are done."""

# Ray 2.60 reads these when it is imported (`ray_config_def.h`), and ends a worker without them. A
# private cluster has one job.
_RAYLET = "RAY_RAYLET_PID"
_JOB = "RAY_JOB_ID"
_FIRST_JOB = "01000000"


class ForkServer:
    """The driver's side: starts the server, and stops it."""

    def __init__(self, socket_path: Path) -> None:
        # Inherited by what Ray starts as workers.
        os.environ[SOCKET] = str(socket_path)
        # It looks for modules where this process does, and nowhere else.
        places = {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(socket_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | places,
            start_new_session=True,  # Ctrl-C is the driver's
        )

    def serve(self, raylet: int) -> None:
        """Let it import Ray and serve the raylet of this process id."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # workers then start without it
            self._process.stdin.write(f"{raylet}\n".encode())
            self._process.stdin.flush()

    def stop(self) -> None:
        """End it at once; its workers end with Ray."""
        os.environ.pop(SOCKET, None)
        self._process.kill()
        self._process.communicate()


def _main(socket_path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(socket_path)
        listener.listen(_MOST_WAITING)
        _import(_MODULES)
        if not (raylet := sys.stdin.readline().strip()):
            return
        os.environ.update({_RAYLET: raylet, _JOB: _FIRST_JOB})
        _import(_RAY_MODULES)
        gc.freeze()  # collections would write to the memory that is shared
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers
        _serve(listener)


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        with suppress(Exception):  # it is raised again in the trial, which records it
            importlib.import_module(name)


def _serve(listener: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:  # the driver has ended
            return
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            order = stream.read()
        if order and os.fork() == 0:
            listener.close()
            _become_worker(**json.loads(order))


def _become_worker(arguments: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    """Go on as the process that Ray's command would have started."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)  # Ray stops a worker together with its group
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.chdir(folder)
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
    _main(sys.argv[1])
