"""A Ray cluster for the length of one run: a private one on this machine, or one that runs."""

import fcntl
import logging
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from tune_metalr.errors import UserError
from tune_metalr.fork_server import ALLOCATOR, ForkServer
from tune_metalr.ray_pool.head_watch import HeadWatch
from tune_metalr.ray_pool.joining import join_cluster
from tune_metalr.ray_pool.last_act import kill_after_exit
from tune_metalr.ray_pool.last_word import HEAD_IS_GONE, LastWord

_FOLDER_PREFIX = "tune-metalr-ray-"
_LONGEST_TEMP = 16
"""Ray's sockets lie up to 88 characters deeper, and their path has at most 107 (macOS: 104)."""

_LAST_BREATH_SECONDS = 1.0
_LONGEST_END_SECONDS = 4.0
_QUIET_SECONDS = 0.05
_NEW_SECONDS = 60.0

_OBJECT_STORE_BYTES = 100 * 2**20
"""Data go through the disk cache; the store carries a trial's definition and its status."""

# Read by Ray when it is imported, so they are set before that, in one place.
_ENVIRONMENT = {
    # Tune's own records are never read: no loggers, no periodic snapshots, no tables.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Signals are handled by the runner; Tune's handler waits for the trials to end.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # After a shutdown, a call of Tune's thread would start a second cluster.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # Relative paths mean the same in a worker as in the driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Nothing is sent anywhere.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Under `uv run`, Ray would upload the working directory.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # The pool deals no more trials than fit; Tune may have them all pending.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
}

_PRIVATE_ENVIRONMENT = {
    **ALLOCATOR,
    # The node is 127.0.0.1 instead of the machine's address: no port is open to others.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Other users of the machine cannot join either. The token lives in the environment alone;
    # by default Ray would write one into HOME.
    "RAY_AUTH_MODE": "token",
    # Once per process: Ray reads it once.
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    # Tune would give it to each actor, and an actor with a runtime environment starts a process
    # of its own instead of taking one that waits.
    "PL_DISABLE_FORK": "1",
    # A socket is tried a hundred times a second, not once.
    "RAY_raylet_client_connect_timeout_milliseconds": "10",
    "RAY_raylet_client_num_connect_attempts": "1000",
    # The standard input of the raylet's agents is a pipe that ends with it.
    "RAY_enable_pipe_based_agent_to_parent_health_check": "1",
    # Metrics would go to an agent.
    "RAY_enable_metrics_collection": "0",
    # `ray.init` would wait for the first workers, and hold Python's lock meanwhile.
    "RAY_prestart_worker_first_driver": "0",
}


def set_environment(*, is_private: bool) -> None:
    """Set what Ray reads when it is imported: before that, and so before a searcher is named.

    Args:
        is_private: Whether the cluster is to be this process's own.
    """
    os.environ.update(_ENVIRONMENT)
    if is_private:
        os.environ.update(_PRIVATE_ENVIRONMENT)


class SessionOptions(NamedTuple):
    """Which cluster to use."""

    cpus: int
    """CPUs of a private cluster."""
    address: str | None
    """Address of a running cluster; `None` starts a private one."""
    threads_per_trial: int
    cpus_per_trial: float = 1
    has_gpus: bool = False
    """Whether a private cluster looks for the machine's GPUs."""
    fork_server: ForkServer | None = None
    """One that runs already, and is not the session's to stop."""


class RaySession:
    """A cluster, or a place in one, for the length of a `with` block.

    `connect` and `disconnect` take seconds in which Ray blocks in C, where a signal would have
    to wait, so another thread than the one that leaves the block may call them. It has to be
    one thread: the processes of a private cluster end with the thread that started them.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._started: set[psutil.Process] = set()
        self._strangers: set[psutil.Process] | None = None
        self._fork_server: ForkServer | None = None
        self.folder = _temp_root() / f"{_FOLDER_PREFIX}{secrets.token_hex(4)}"
        """Ray's and Tune's own files; held by a lock for as long as this process lives."""
        self._resources = ExitStack()
        self._last_act: subprocess.Popen[bytes] | None = None
        self._is_joined = False
        self._head: HeadWatch | None = None

    def __enter__(self) -> Self:
        """Make the session's folder; of Ray, nothing is started yet."""
        set_environment(is_private=self.is_private)
        threads = str(self._options.threads_per_trial)
        os.environ.update({"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads})
        # Torch makes a folder for compiled code as soon as an optimizer steps.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self.folder / "torch")
        _delete_abandoned_folders()
        try:
            self._open()
        except BaseException:  # a signal, too, that comes while the folder is made
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind: no process of a private cluster, no folder.

        A cluster that has not been left politely outlives this process by a moment.
        """
        if self._is_joined and self.is_private:
            self._end_with_this_process()
        else:
            self._end_now()
        self._resources.close()

    def _end_with_this_process(self) -> None:
        """Halt the cluster, and have it ended by another process when this one is gone."""
        processes: set[psutil.Process] = set()
        while new := self._processes() - processes:
            for process in new:
                with suppress(psutil.Error):
                    process.suspend()
            processes |= new
        self._last_act = kill_after_exit(processes, self.folder)

    def _end_now(self) -> None:
        """Kill and delete; another thread may start one more process, or write one more file."""
        deadline = time.monotonic() + _LONGEST_END_SECONDS
        quiet_rounds = 0
        while quiet_rounds < 2 and time.monotonic() < deadline:
            processes = self._processes()
            is_quiet = not processes and not self.folder.exists()
            quiet_rounds = quiet_rounds + 1 if is_quiet else 0
            _kill(processes)
            shutil.rmtree(self.folder, ignore_errors=True)
            time.sleep(_QUIET_SECONDS if is_quiet else 0)

    def _open(self) -> None:
        self.folder.mkdir(mode=0o700)
        owner = self._resources.enter_context((self.folder / "owner").open("w"))
        fcntl.flock(owner, fcntl.LOCK_EX)
        if self.is_private:
            self._strangers = _children()
            self._fork_server = self._find_fork_server()
            self._fork_server.listen(self.folder / "fork")

    def _processes(self) -> set[psutil.Process]:
        """Return what was started since the session began; of a running cluster, nothing."""
        if self._strangers is None:
            return set()
        ours = self._started | (_children() - self._strangers)
        return {process for process in ours if _lives(process)}

    def _find_fork_server(self) -> ForkServer:
        """Take the one that runs, or start one if there is none or it has too few threads."""
        running, threads = self._options.fork_server, self._options.threads_per_trial
        if running and running.threads == threads:
            return running
        return self._resources.enter_context(ForkServer(threads=threads))

    @property
    def is_private(self) -> bool:
        """Whether the cluster is this process's own."""
        return self._options.address is None

    def connect(self) -> None:
        """Start the private cluster or join the running one.

        Raises:
            UserError: The running cluster cannot be reached, or the private one would be too small.
        """
        if not self._fork_server:
            self._head = join_cluster(str(self._options.address))
            self._resources.enter_context(LastWord(self._head.address))
            return
        # Told before anything is started: a cluster that stops at once leaves Ray's threads behind.
        if self._options.cpus < self._options.cpus_per_trial:
            needed = f"{self._options.cpus_per_trial:g}"
            raise UserError(f"a trial needs {needed} CPUs, but there are {self._options.cpus}")
        self._is_joined = True
        _start(self.folder, self._options, self._fork_server)

    def check_head(self) -> None:
        """Make sure that the head of a running cluster is there.

        Raises:
            UserError: It has not answered for long.
        """
        if self._head and self._head.is_gone:
            raise UserError(HEAD_IS_GONE)

    def disconnect(self) -> None:
        """Leave the cluster politely, which `__exit__` cannot wait for."""
        # Some of them outlive the cluster by half a minute, as nobody's children.
        self._started = self._processes()
        import ray

        ray.shutdown()
        self._is_joined = False


def _start(folder: Path, options: SessionOptions, fork_server: ForkServer) -> None:
    """Start a cluster that only this process can join."""
    from tune_metalr.ray_pool.local_cluster import start_local_cluster

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    start_local_cluster(
        fork_server,
        num_cpus=options.cpus,
        num_gpus=None if options.has_gpus else 0,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        _temp_dir=str(folder),
        _plasma_directory=str(folder),
    )


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _kill(processes: set[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _LAST_BREATH_SECONDS
    while any(_lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _delete_abandoned_folders() -> None:
    """Delete the folders of drivers that were killed: nobody holds their lock any more."""
    for folder in _temp_root().glob(f"{_FOLDER_PREFIX}*"):
        with suppress(OSError):  # in use, another user's, or gone
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    if time.time() - folder.stat().st_mtime < _NEW_SECONDS:
        return False  # its owner may not have locked it yet
    if not (folder / "owner").exists():  # half deleted
        return True
    with (folder / "owner").open("r+") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _temp_root() -> Path:
    root = Path(tempfile.gettempdir())
    return root if len(str(root)) <= _LONGEST_TEMP else Path("/tmp")
