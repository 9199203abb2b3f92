"""Decoded examples on disk: made once per data version, then memory-mapped by every trial."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.storage import write_whole
from tune_metalr.workloads import images, sources, text
from tune_metalr.workloads.workload import Family, Source

DECODER_REVISION = 1
"""Raised whenever decoding gives other arrays for the same bytes."""

_DECODERS = {Family.IMAGES: images.decode, Family.TEXT: text.decode}
_VERSION_LENGTH = 12
_COUNT = "count"
"""File that says how many arrays a complete folder holds."""


class DataPlaces(NamedTuple):
    """Where data are looked for and kept on this machine."""

    cache: Path
    data_dir: Path | None
    """A local mirror in the hub's layout; `None` reads the hub."""


class PreparedData(NamedTuple):
    """Arrays on disk, and the version that names their content."""

    version: str
    folder: Path
    train_examples: int
    """Rows of the training split, validation included."""


def data_places(data_dir: Path | None, *, fallback: Path) -> DataPlaces:
    """Choose the data cache: `TUNE_METALR_CACHE`, the user's cache folder, or `fallback`.

    The fallback serves where HOME cannot be written to.
    """
    if data_dir is None and (named := os.environ.get("TUNE_METALR_DATA")):
        data_dir = Path(named)
    if named := os.environ.get("TUNE_METALR_CACHE"):
        candidates = [Path(named)]
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        candidates = [Path(home) / "tune-metalr", fallback]
    for cache in candidates:
        if _writable(cache):
            return DataPlaces(cache.resolve(), data_dir.resolve() if data_dir else None)
    raise UserError(f"cannot write to the data cache {candidates[-1]}; set TUNE_METALR_CACHE")


def prepare(source: Source, places: DataPlaces) -> PreparedData:
    """Return the decoded arrays of a source, decoding them if this machine has not yet.

    Raises:
        UserError: The source cannot be read, or lacks a split, column or class.
    """
    key = _key(source, places)
    if found := _lookup(source, key, places.cache):
        return found
    with _locked(places.cache / f"{source.name}.lock"):
        if found := _lookup(source, key, places.cache):
            return found
        return _decode(source, places, key)


def find(source: Source, version: str, places: DataPlaces) -> Path:
    """Return the folder of a version of the data, decoding them if this machine has not yet.

    Raises:
        UserError: The source cannot be read, or gives another version here.
    """
    folder = _folder(source, version, places.cache)
    if _is_complete(folder):
        return folder
    prepared = prepare(source, places)
    if prepared.version != version:
        raise UserError(
            f"the data of '{source.name}' are version {prepared.version} here, but the trial was "
            f"planned on {version}: all nodes need the same data"
        )
    return prepared.folder


def open_arrays(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Map the arrays read-only; pages are shared by all processes of the machine."""
    return {
        path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
        for path in sorted(folder.glob("*.npy"))
    }


def _decode(source: Source, places: DataPlaces, key: str) -> PreparedData:
    """Decode into a scratch folder and put it in place whole. The caller holds the lock."""
    for leftover in places.cache.glob(f".{source.name}@*"):  # of a process that was killed
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=f".{source.name}@", dir=places.cache) as scratch:
        raw = sources.read(source, places.data_dir, cache=places.cache, scratch=Path(scratch))
        arrays = _DECODERS[source.family](source, raw)
        version = _content_version(arrays)
        made = Path(scratch) / "arrays"
        made.mkdir()
        for name, array in arrays.items():
            np.save(made / f"{name}.npy", array, allow_pickle=False)
        (made / _COUNT).write_text(str(len(arrays)))
        folder = _folder(source, version, places.cache)
        # The same content may have come from another place, and may be in use.
        if not _is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
    entry: dict[str, Any] = {
        "version": version,
        "train_examples": len(arrays["train_labels"]),
    }
    write_whole(_index_path(places.cache, key), json.dumps(entry).encode())
    return PreparedData(version, folder, entry["train_examples"])


def _folder(source: Source, version: str, cache: Path) -> Path:
    return cache / f"{source.name}-{version}"


def _is_complete(folder: Path) -> bool:
    try:
        return len(list(folder.glob("*.npy"))) == int((folder / _COUNT).read_text())
    except (OSError, ValueError):
        return False


def _lookup(source: Source, key: str, cache: Path) -> PreparedData | None:
    try:
        entry = json.loads(_index_path(cache, key).read_text())
    except (OSError, ValueError):
        return None
    folder = _folder(source, entry["version"], cache)
    if not _is_complete(folder):
        return None
    return PreparedData(entry["version"], folder, entry["train_examples"])


def _key(source: Source, places: DataPlaces) -> str:
    columns = f"{source.input_column}:{source.label_column}:{source.train_split}"
    text = (
        f"{sources.fingerprint(source, places.data_dir)}:{source.family}:{columns}:"
        f"{source.test_split}:{source.num_classes}:{DECODER_REVISION}"
    )
    return f"{source.name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def _index_path(cache: Path, key: str) -> Path:
    return cache / f"{key}.json"


def _content_version(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    digest = hashlib.sha256(f"decoder {DECODER_REVISION}".encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:_VERSION_LENGTH]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
