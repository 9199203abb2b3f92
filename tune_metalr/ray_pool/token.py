"""The token by which a cluster knows its users. Ray reads it when it is imported."""

import os
from pathlib import Path

from tune_metalr.errors import UserError

DEFAULT_TOKEN = "~/.ray/auth_token"
"""Where Ray looks for it, if no variable says anything."""


def use_token() -> None:
    """Let Ray send the user's token, if there is one and the user has not forbidden it.

    Ray itself sends none unless RAY_AUTH_MODE says so.

    Raises:
        UserError: A file is named that is not there. Ray would end the process, in C++.
    """
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named and not Path(named).is_file():
        raise UserError(f"there is no token in {named}, which RAY_AUTH_TOKEN_PATH names")
    default = Path(DEFAULT_TOKEN).expanduser()
    if named or os.environ.get("RAY_AUTH_TOKEN") or default.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def sends_token() -> bool:
    """Return whether Ray sends a token with each request."""
    return os.environ.get("RAY_AUTH_MODE") == "token"
