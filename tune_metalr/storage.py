"""Whole files: written under another name and then put in place, so that none is ever half."""

import os
import secrets
from pathlib import Path

SCRATCH_PREFIX = ".writing-"
"""Begins the name of a file that is being written; a killed writer leaves it behind."""


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` at `path`, replacing what is there in one step.

    Args:
        path: Where the file belongs; its folder is made if need be.
        data: The whole content.
        durable: Wait until the bytes are on the disk: they then survive a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{SCRATCH_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def remove_scratch(folder: Path) -> None:
    """Delete what killed writers left in a folder. Only for who owns the folder alone."""
    for path in folder.glob(f"{SCRATCH_PREFIX}*"):
        path.unlink(missing_ok=True)
