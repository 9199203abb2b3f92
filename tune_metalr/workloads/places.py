"""Where data are looked for and kept on a machine."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tune_metalr.errors import UserError
from tune_metalr.store import Location, is_uri


class DataPlaces(NamedTuple):
    """Where data are looked for and kept on this machine."""

    cache: Path
    data_dir: Path | None = None
    """A local mirror in the hub's layout; `None` reads the hub."""
    folders: Mapping[str, Path] = {}
    """Folders that the study names, by name of the source."""


def places_here(places: DataPlaces) -> DataPlaces:
    """Return the driver's places as they are on this node, whose user and folders may be others.

    Raises:
        UserError: No data can be kept on this node.
    """
    cache, data_dir = places.cache, places.data_dir
    # No folder of the driver is made here to find out whether it could be.
    if "TUNE_METALR_CACHE" in os.environ or not (cache.exists() and _writable(cache)):
        cache = cache_folder(_temporary())
    if data_dir and not data_dir.exists() and (named := os.environ.get("TUNE_METALR_DATA")):
        data_dir = Path(named)
    return places._replace(cache=cache, data_dir=data_dir)


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


def cache_beside(results: Location) -> Path:
    """Return where decoded data are kept if HOME cannot be written to.

    Args:
        results: The folder that holds the results of studies, or its URI.
    """
    if is_uri(results):
        return _temporary()
    return Path(results) / ".data-cache"


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


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / "tune-metalr-data"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
