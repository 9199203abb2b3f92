"""Where raw examples come from: a local mirror, the Hugging Face hub, or scikit-learn."""

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_metalr.errors import UserError, first_line
from tune_metalr.import_path import code_version
from tune_metalr.workloads.places import DataPlaces
from tune_metalr.workloads.python import LONGEST_REASON, load_arrays, planned_workload
from tune_metalr.workloads.raw import RawData, RawSplit
from tune_metalr.workloads.workload import Origin, Source

if TYPE_CHECKING:
    import pyarrow as pa

_READ_BYTES = 1 << 20


def fingerprint(source: Source, places: DataPlaces) -> str:
    """Name what `read` would give, without decoding it.

    A folder is named by the bytes of its files, the hub by the repository: once downloaded, a
    hub data set is used from the cache and needs no network.
    """
    if source.origin is Origin.BUNDLED:
        return f"bundled:{source.name}"
    if source.origin is Origin.PYTHON:
        workload = planned_workload(source.location or "")
        return f"python:{code_version(type(workload))}:{workload.fingerprint()}"
    folder = _folder(source, places)
    if folder is None:
        return f"hub:{source.location}"
    return f"files:{_content(source, folder)}"


def read(source: Source, places: DataPlaces, *, scratch: Path) -> RawData:
    """Open the raw splits; `fingerprint` has made sure that a folder's files can be read.

    Args:
        source: What to read.
        places: Where to look for it, and where to keep what the hub gives.
        scratch: Where a folder is unpacked; what is returned is valid as long as it exists.
    """
    if source.origin is Origin.BUNDLED:
        return _bundled(source.name)
    if source.origin is Origin.PYTHON:
        return _from_python(source)
    folder = _folder(source, places)
    if folder is None:
        return _from_hub(source, places.cache)
    try:
        splits = _load(str(folder), places.cache, scratch / "unpacked")
    # `datasets` raises what its readers raise: no common class, all of them about the files.
    except Exception as error:
        raise UserError(f"cannot read the data in {folder}: {_root(error)}") from error
    return _columns(source, splits)


def _folder(source: Source, places: DataPlaces) -> Path | None:
    """Return the folder that holds the data; `None` if they come from the hub."""
    if source.origin is Origin.FOLDER:
        return places.folders[source.name]
    return None if places.data_dir is None else places.data_dir / source.name


def _content(source: Source, folder: Path) -> str:
    """Name the content of a folder's files, taken in an order that is the same everywhere."""
    ours = source.origin is Origin.HUB
    try:
        next(folder.iterdir(), None)
        found = sorted(folder.glob("*.parquet") if ours else folder.rglob("*"))
        files = [path for path in found if path.is_file()]
        content = _digest(folder, files)
    except OSError as error:  # without a name, if it came up in the middle of a file
        raise UserError(
            f"no data for '{source.name}': cannot read {error.filename or folder} "
            f"({error.strerror}){_hint(source)}"
        ) from error
    if not files:
        wanted = "no .parquet file; lay it out as the hub does" if ours else "no file"
        raise UserError(f"no data for '{source.name}': {folder} holds {wanted}{_hint(source)}")
    return content


def _digest(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _hint(source: Source) -> str:
    if source.origin is Origin.FOLDER:
        return ""
    return (
        f"; point --data-dir or TUNE_METALR_DATA at a folder that holds '{source.name}/*.parquet'"
    )


def _from_hub(source: Source, cache: Path) -> RawData:
    try:
        splits = _load(source.location or "", cache, cache / "hub")
    # The hub's client and the readers of its files raise what they like.
    except Exception as error:
        raise UserError(
            f"cannot load '{source.location}' from the Hugging Face hub ({_root(error)}); "
            f"without a network, point --data-dir or TUNE_METALR_DATA at a local mirror that holds "
            f"'{source.name}/*.parquet'"
        ) from error
    return _columns(source, splits)


def _root(error: BaseException) -> str:
    """Return what went wrong first: `datasets` wraps it in errors of its own.

    Raises:
        OSError: The disk is full, which no reading is to blame for.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        raise error
    return first_line(error)[:LONGEST_REASON]


def _from_python(source: Source) -> RawData:
    arrays = load_arrays(source.location or "")
    return RawData(
        train=RawSplit(arrays["train_inputs"], arrays["train_labels"]),
        test=RawSplit(arrays["test_inputs"], arrays["test_labels"]),
    )


def _load(path: str, cache: Path, cache_dir: Path) -> Any:
    # Set before the first import: `datasets` fixes its folders then, and would write to HOME.
    os.environ.setdefault("HF_HOME", str(cache / "huggingface"))
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # each retry would print a warning
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(path, cache_dir=str(cache_dir))


def _columns(source: Source, splits: Any) -> RawData:
    return RawData(
        train=_split(source, splits, source.train_split),
        test=_split(source, splits, source.test_split),
    )


def _split(source: Source, splits: Any, name: str) -> RawSplit:
    if name not in splits:
        raise UserError(
            f"data set '{source.name}' has no split '{name}'; it has {', '.join(splits)}: name "
            f"one of them as 'train_split' or 'test_split'"
        )
    table: pa.Table = splits[name].with_format("arrow")[:]
    for column in (source.input_column, source.label_column):
        if column not in table.column_names:
            raise UserError(
                f"data set '{source.name}' has no column '{column}'; "
                f"it has {', '.join(table.column_names)}"
            )
    return RawSplit(table[source.input_column], table[source.label_column])


def _bundled(name: str) -> RawData:
    if name != "digits":
        raise UserError(f"no bundled data set '{name}': its reader would stand in sources.py")
    return _bundled_digits()


def _bundled_digits() -> RawData:
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    # Values 0..16 are spread over a byte, as in every other image source.
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    # The bundle has no split of its own; its rows come in writers' order, so they are shuffled.
    order = np.random.default_rng(0).permutation(len(images))
    test, train = order[:_DIGITS_TEST_EXAMPLES], order[_DIGITS_TEST_EXAMPLES:]
    return RawData(
        train=RawSplit(images[train], digits.target[train]),
        test=RawSplit(images[test], digits.target[test]),
    )


_DIGITS_TEST_EXAMPLES = 300
