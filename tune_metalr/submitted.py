"""What a run that was submitted to a cluster is told: by its environment, for nothing of it may
change what the run does.
"""

import json
import os
from collections.abc import Sequence

_FOLLOWED = "TUNE_METALR_FOLLOWED"
_COMMAND = "TUNE_METALR_COMMAND"


def job_environment(command: Sequence[str]) -> dict[str, str]:
    """Return the variables of a run whose progress is followed from elsewhere.

    Args:
        command: What the user types, elsewhere, to go on.
    """
    return {_FOLLOWED: "1", _COMMAND: json.dumps(list(command))}


def is_followed() -> bool:
    """Return whether progress is to be told in lines that a program reads."""
    return bool(os.environ.get(_FOLLOWED))


def submitting_command() -> list[str] | None:
    """Return the command by which this run was submitted; `None` if it was not."""
    told = os.environ.get(_COMMAND)
    return [str(word) for word in json.loads(told)] if told else None
