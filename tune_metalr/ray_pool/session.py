"""A Ray cluster for the length of one run: a private one on this machine, or one that runs."""

import fcntl
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from typing import NamedTuple

from tune_metalr.errors import UserError

_FOLDER_PREFIX = "tune-metalr-ray-"
_LONGEST_TEMP = 40
"""Ray puts sockets under its folder, and a socket's path has at most 107 characters."""

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
    # The node is 127.0.0.1 instead of the machine's address: no port is open to others.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Other users of the machine cannot join either. The token lives in the environment alone;
    # by default Ray would write one into HOME.
    "RAY_AUTH_MODE": "token",
}


class SessionOptions(NamedTuple):
    """Which cluster to use."""

    cpus: int
    """CPUs of a private cluster."""
    address: str | None
    """Address of a running cluster; `None` starts a private one."""
    threads_per_trial: int


class RaySession:
    """An open connection to a cluster."""

    def __init__(self, folder: Path, cpus: int) -> None:
        self.folder = folder
        """Ray's and Tune's own files; deleted when the session closes."""
        self.cpus = cpus


@contextmanager
def ray_session(options: SessionOptions) -> Iterator[RaySession]:
    """Connect, and leave nothing behind: the folder is deleted, the private cluster stopped.

    Raises:
        UserError: The running cluster cannot be reached.
    """
    _delete_abandoned_folders()
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=_temp_root()))
    with (folder / "owner").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield RaySession(folder, _connect(options, folder))
        finally:
            _disconnect(folder)


def _connect(options: SessionOptions, folder: Path) -> int:
    """Connect to the cluster and return its CPUs."""
    os.environ.update(_ENVIRONMENT)
    threads = str(options.threads_per_trial)
    os.environ.update({"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads})
    if options.address is None:
        os.environ.update(_PRIVATE_ENVIRONMENT)
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if options.address is None:
        ray.init(
            address="local",
            num_cpus=options.cpus,
            num_gpus=0,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _temp_dir=str(folder),
            _plasma_directory=str(folder),
        )
        return options.cpus
    try:
        ray.init(address=options.address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["no answer"])[0]
        raise UserError(f"cannot reach a Ray cluster at {options.address}: {reason}") from error
    return int(ray.cluster_resources().get("CPU", 0))


def _disconnect(folder: Path) -> None:
    import ray

    try:
        ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _delete_abandoned_folders() -> None:
    """Delete the folders of drivers that were killed: nobody holds their lock any more."""
    for folder in _temp_root().glob(f"{_FOLDER_PREFIX}*"):
        try:
            with (folder / "owner").open("r+") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, another user's, or gone


def _temp_root() -> Path:
    root = Path(tempfile.gettempdir())
    return root if len(str(root)) <= _LONGEST_TEMP else Path("/tmp")
