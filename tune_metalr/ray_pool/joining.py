"""Joining a Ray cluster that runs, which goes on when this process leaves."""

import logging
import os
import socket
from typing import Any

from tune_metalr.errors import UserError, first_line
from tune_metalr.ray_pool.head_watch import HeadWatch

_ANSWER_SECONDS = 5.0
_CLIENT = "ray://"


def join_cluster(address: str) -> HeadWatch:
    """Join a running cluster, and return what watches its head.

    Args:
        address: Of its head, `host:port`, or `auto` on one of its nodes.

    Raises:
        UserError: It cannot be reached, or lets nobody in without its token.
    """
    if address.startswith(_CLIENT):
        raise UserError(
            f"{address} is a Ray client's address: run on a node of the cluster with --address auto"
        )
    _check_that_it_answers(address)
    import ray
    from ray._private import worker
    from ray.exceptions import AuthenticationError, RayError

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # What nodes say of themselves would stand in the midst of the progress; the run tells of it.
    worker.print_to_stdstream = _say_nothing
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (AuthenticationError, ConnectionError, ValueError, RuntimeError, RayError) as error:
        reason = first_line(error, "no answer")
        # Ray says the same of a head that is slow and of one that refuses the token.
        if isinstance(error, AuthenticationError) or reason.startswith("Failed to connect"):
            raise UserError(
                f"the Ray cluster at {address} does not let this in: if it asks for its token, set "
                f"RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or the file ~/.ray/auth_token"
            ) from error
        raise UserError(f"cannot reach a Ray cluster at {address}: {reason}") from error
    return HeadWatch(str(ray.get_runtime_context().gcs_address))


def _check_that_it_answers(address: str) -> None:
    """Knock at the door: Ray itself would try for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return  # Ray finds it, or says what is wrong
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"cannot reach a Ray cluster at {address}: {error.strerror or 'no answer'}; is its "
            f"head running?"
        ) from error


def _say_nothing(*_: Any, **__: Any) -> None:
    return
