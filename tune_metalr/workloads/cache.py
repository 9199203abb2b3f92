"""Decoded examples on disk: made once per data version, then memory-mapped by every trial."""

import dataclasses
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.storage import write_whole
from tune_metalr.workloads import images, python, sources, text
from tune_metalr.workloads.labels import decode_labels
from tune_metalr.workloads.places import DataPlaces
from tune_metalr.workloads.workload import Family, ReadyWorkload, Source, Workload

DECODER_REVISION = 2
"""Raised whenever decoding gives other arrays for the same bytes."""

_DECODERS = {Family.IMAGES: images.decode, Family.TEXT: text.decode, Family.ARRAYS: python.decode}
_VERSION_LENGTH = 12
_VALIDATION_PART = 5
_MOST_VALIDATION = 10_000
"""A fifth of the training split is held out, as in the workloads of ours, up to this many."""

_COUNT = "count"
"""File that says how many arrays a complete folder holds."""


class PreparedData(NamedTuple):
    """Arrays on disk, and the version that names their content."""

    version: str
    folder: Path
    train_examples: int
    """Rows of the training split, validation included."""
    num_classes: int


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


def make_ready(workload: Workload, places: DataPlaces) -> ReadyWorkload:
    """Prepare a workload's data, and settle what it left to them.

    Raises:
        UserError: The data cannot be read, or are too few.
    """
    prepared = prepare(workload.source, places)
    held_out = workload.validation_examples
    if held_out is None:
        held_out = min(_MOST_VALIDATION, max(1, prepared.train_examples // _VALIDATION_PART))
    if held_out >= prepared.train_examples:
        raise UserError(
            f"workload '{workload.name}': validation_examples is {held_out}, but the training "
            f"split has {prepared.train_examples} examples in all"
        )
    settled = dataclasses.replace(
        workload,
        source=dataclasses.replace(workload.source, num_classes=prepared.num_classes),
        validation_examples=held_out,
    )
    return ReadyWorkload(
        workload=settled,
        data_version=prepared.version,
        available_examples=prepared.train_examples - held_out,
    )


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
    try:
        return _decode_in_scratch(source, places, key)
    except OSError as error:
        raise UserError(
            f"cannot keep the decoded data in {places.cache}: {error.strerror or error}; free "
            f"some space, or set TUNE_METALR_CACHE to a folder that has it"
        ) from error


def _decode_in_scratch(source: Source, places: DataPlaces, key: str) -> PreparedData:
    with tempfile.TemporaryDirectory(prefix=f".{source.name}@", dir=places.cache) as scratch:
        raw = sources.read(source, places, scratch=Path(scratch))
        labels = decode_labels(source, raw)
        arrays = _DECODERS[source.family](source, raw)
        arrays |= {"train_labels": labels.train, "test_labels": labels.test}
        version = _content_version(arrays)
        folder = _folder(source, version, places.cache)
        entry: dict[str, Any] = {
            "version": version,
            "train_examples": len(labels.train),
            "num_classes": labels.num_classes,
        }
        _save(arrays, Path(scratch) / "arrays", folder)
        write_whole(_index_path(places.cache, key), json.dumps(entry).encode())
    return PreparedData(folder=folder, **entry)


def _save(arrays: Mapping[str, np.ndarray[Any, Any]], made: Path, folder: Path) -> None:
    made.mkdir()
    for name, array in arrays.items():
        np.save(made / f"{name}.npy", array, allow_pickle=False)
    (made / _COUNT).write_text(str(len(arrays)))
    # The same content may have come from another place, and may be in use.
    if not _is_complete(folder):
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


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
        found = PreparedData(folder=_folder(source, entry["version"], cache), **entry)
    except (OSError, ValueError, TypeError, KeyError):  # none yet, or of another form
        return None
    return found if _is_complete(found.folder) else None


def _key(source: Source, places: DataPlaces) -> str:
    columns = f"{source.input_column}:{source.label_column}:{source.train_split}"
    text = (
        f"{sources.fingerprint(source, places)}:{source.family}:{columns}:"
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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
