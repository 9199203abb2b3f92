"""Who holds a study's results: a process, told to users and to processes of other machines."""

import os
import socket
from pathlib import Path

from tune_metalr.errors import UserError

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")


def told() -> str:
    """Return how users are told of this process."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def in_use(location: str, holder: str) -> UserError:
    """Return what the second one is told."""
    return UserError(
        f"{location} is in use by {holder}; wait until it ends, or choose another --results"
    )


def realm() -> str | None:
    """Return what tells the processes that are seen here from all others; `None` if unknown.

    Hosts' names are not unique, and a container numbers its processes anew.
    """
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink(_PROCESSES)}"
    except OSError:
        return None


def has_died(number: object, its_realm: object) -> bool:
    """Return whether a process is known to be gone: it would be seen here, and is not."""
    here = realm()
    if here is None or its_realm != here or not isinstance(number, int):
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's, which may not even be listed here
        return False
    return False
