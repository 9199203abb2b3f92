"""Where data are looked for and kept on a machine."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tune_metalr.errors import UserError


class DataPlaces(NamedTuple):
    """Where data are looked for and kept on this machine."""

    cache: Path
    data_dir: Path | None = None
    """A local mirror in the hub's layout; `None` reads the hub."""
    folders: Mapping[str, Path] = {}
    """Folders that the study names, by name of the source."""


def data_places(
    data_dir: Path | None, *, fallback: Path, folders: Mapping[str, Path]
) -> DataPlaces:
    """Choose where data are looked for, and where they are kept.

    Raises:
        UserError: None of the folders for the cache can be written to.
    """
    if data_dir is None and (named := os.environ.get("TUNE_METALR_DATA")):
        data_dir = Path(named)
    return DataPlaces(
        cache_folder(fallback), data_dir.resolve() if data_dir else None, dict(folders)
    )


def cache_folder(fallback: Path) -> Path:
    """Choose the cache: `TUNE_METALR_CACHE`, the user's cache folder, or `fallback`.

    The fallback serves where HOME cannot be written to.

    Raises:
        UserError: None of them can be written to.
    """
    if named := os.environ.get("TUNE_METALR_CACHE"):
        candidates = [Path(named)]
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        candidates = [Path(home) / "tune-metalr", fallback]
    for cache in candidates:
        if _writable(cache):
            return cache.resolve()
    raise UserError(f"cannot write to the data cache {candidates[-1]}; set TUNE_METALR_CACHE")


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
