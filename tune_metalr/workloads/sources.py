"""Where raw examples come from: a local mirror, the Hugging Face hub, or scikit-learn."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tune_metalr.errors import UserError
from tune_metalr.workloads.workload import Source

if TYPE_CHECKING:
    import pyarrow as pa

_READ_BYTES = 1 << 20


class RawSplit(NamedTuple):
    """One split, undecoded: row i of `inputs` has label `labels[i]`."""

    inputs: Any
    """An Arrow column, or a NumPy array when the source is bundled."""
    labels: Any


class RawData(NamedTuple):
    """The splits that a source gives."""

    train: RawSplit
    test: RawSplit


def fingerprint(source: Source, data_dir: Path | None) -> str:
    """Name what `read` would give, without decoding it.

    A mirror is named by the bytes of its files, the hub by the repository: once downloaded, a
    hub data set is used from the cache and needs no network.
    """
    if source.hub_id is None:
        return f"bundled:{source.name}"
    if data_dir is None:
        return f"hub:{source.hub_id}"
    digest = hashlib.sha256()
    for path in _mirror_files(source, data_dir):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    return f"mirror:{digest.hexdigest()}"


def read(source: Source, data_dir: Path | None, *, cache: Path, scratch: Path) -> RawData:
    """Open the raw splits.

    Args:
        source: What to read.
        data_dir: A local mirror; `None` reads the hub.
        cache: Where what the hub gives is kept.
        scratch: Where a mirror is unpacked; what is returned is valid as long as it exists.
    """
    if source.hub_id is None:
        return _bundled_digits()
    if data_dir is None:
        return _from_hub(source, source.hub_id, cache)
    _mirror_files(source, data_dir)
    folder = data_dir / source.name
    try:
        return _columns(source, _load(str(folder), cache, scratch / "unpacked"))
    except UserError:
        raise
    # `datasets` raises what its readers raise: no common class, all of them about the files.
    except Exception as error:
        raise UserError(f"cannot read the data in {folder}: {_first_line(error)}") from error


def _mirror_files(source: Source, data_dir: Path) -> list[Path]:
    folder = data_dir / source.name
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".parquet")
    except OSError as error:
        raise UserError(
            f"no data for '{source.name}': cannot read {folder} ({error.strerror}); point "
            f"--data-dir or TUNE_METALR_DATA at a folder that holds '{source.name}/*.parquet'"
        ) from error
    if not files:
        raise UserError(
            f"no data for '{source.name}': {folder} holds no .parquet file; lay it out as "
            f"the hub does, '{source.name}/train-00000-of-00001.parquet'"
        )
    return files


def _from_hub(source: Source, hub_id: str, cache: Path) -> RawData:
    try:
        return _columns(source, _load(hub_id, cache, cache / "hub"))
    except (OSError, ConnectionError, ValueError) as error:
        raise UserError(
            f"cannot load '{hub_id}' from the Hugging Face hub ({_first_line(error)}); without "
            f"a network, point --data-dir or TUNE_METALR_DATA at a local mirror that holds "
            f"'{source.name}/*.parquet'"
        ) from error


def _load(path: str, cache: Path, cache_dir: Path) -> Any:
    # Set before the first import: `datasets` fixes its folders then, and would write to HOME.
    os.environ.setdefault("HF_HOME", str(cache / "huggingface"))
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
            f"data set '{source.name}' has no split '{name}'; it has {', '.join(splits)}"
        )
    table: pa.Table = splits[name].with_format("arrow")[:]
    for column in (source.input_column, source.label_column):
        if column not in table.column_names:
            raise UserError(
                f"data set '{source.name}' has no column '{column}'; "
                f"it has {', '.join(table.column_names)}"
            )
    return RawSplit(table[source.input_column], table[source.label_column])


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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


_DIGITS_TEST_EXAMPLES = 300
