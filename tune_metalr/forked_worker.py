"""What Ray starts as a worker: it asks the fork server for one, and is gone.

It is run as a script and imports little: its own start is what is saved.
"""

import json
import os
import socket
import sys

SOCKET = "TUNE_METALR_FORK_SERVER"
"""Variable with the path of the server's socket."""

WORKER = "TUNE_METALR_RAY_WORKER"
"""Variable with the path of the script that Ray would have run."""


def main() -> None:
    """Pass on command line and environment; without a server, become the worker."""
    arguments = [os.environ[WORKER], *sys.argv[1:]]
    order = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(os.environ[SOCKET])
            server.sendall(json.dumps(order).encode())
    except OSError:
        os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main()
