"""Rows as Parquet: the declared columns, checked when read, the best of several rows per trial."""

import hashlib
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tune_metalr.errors import UserError
from tune_metalr.trial import COLUMNS, SCHEMA_VERSION, Column, Status

WANTED_COLUMNS: tuple[Column, ...] = (
    Column("trial_id", "string", True),
    Column("role", "string", True),
    Column("workload", "string", True),
    Column("method", "string", True, meaning="the study's name for it"),
    Column("seed", "int64", True),
    Column("target_accuracy", "float64", True, "fraction", "of validation"),
)

PROPOSAL_COLUMNS: tuple[Column, ...] = (
    Column("search_id", "string", True),
    Column("search", "string", True, meaning="the study's name for it"),
    Column("workload", "string", True),
    Column("sampler", "string", True),
    Column("pruner", "string", True, meaning="null: trials run to their end"),
    Column("repeat", "int64", True),
    Column("index", "int64", True, meaning="position in the search, from 0"),
    Column("parameters", "string", True, "JSON", "what the sampler suggested"),
    Column("trial_id", "string", True, meaning="the trial that it points to"),
    Column("told_value", "float64", True, meaning="what the sampler was told"),
    Column("state", "string", True, meaning="Optuna's state of the proposal"),
    Column("search_definition", "string", True, "JSON", "what decides the proposals"),
)

_RATES = "learning_rates"
"""The column that most of a ledger's bytes are."""

_COMPRESSION_LEVEL = 9
_PAGE_BYTES = 64 * 2**20

IDENTITY = frozenset({"trial_id", "schema_version", "definition", "status", "finished_utc"})
"""Columns by which a row is checked, and chosen among several of one trial."""

_TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "list<float64>": pa.list_(pa.float64()),
}


class DamagedFileError(Exception):
    """A file that holds no rows of ours: torn, or put there by something else."""


def schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of declared columns, units and meanings as field metadata."""
    return pa.schema(
        [
            pa.field(c.name, _TYPES[c.dtype], metadata={"unit": c.unit, "meaning": c.meaning})
            for c in columns
        ]
    )


def chosen(names: Collection[str] | None) -> list[Column]:
    """Return the ledger's columns of these names, in the declared order; all for `None`."""
    return [column for column in COLUMNS if names is None or column.name in names]


def to_table(rows: Iterable[Mapping[str, Any]], columns: Iterable[Column]) -> pa.Table:
    """Return rows as a table; a column that a row lacks is null, an undeclared one an error."""
    columns = tuple(columns)
    rows = list(rows)
    names = {column.name for column in columns}
    if undeclared := {name for row in rows for name in row} - names:
        raise ValueError(f"undeclared columns: {', '.join(sorted(undeclared))}")
    return pa.Table.from_pylist(rows, schema=schema(columns))


def to_bytes(table: pa.Table) -> bytes:
    """Return the table as a Parquet file."""
    # Seeds of one method mostly have the same rates, which is noticed within a page alone; and of
    # neighbouring floats the first bytes are alike.
    encodings = {f"{_RATES}.list.element": "BYTE_STREAM_SPLIT"}
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        data_page_size=_PAGE_BYTES,
        use_dictionary=[name for name in table.column_names if name != _RATES],
        column_encoding=encodings if _RATES in table.column_names else None,
    )
    return sink.getvalue()


def read_table(data: bytes, name: str, columns: Iterable[Column]) -> pa.Table:
    """Read a file as declared columns; those that it lacks are null, others are left out.

    Args:
        data: The file.
        name: What it is called when it is told of.
        columns: What to read.

    Raises:
        DamagedFileError: It is no Parquet file, or none of ours.
    """
    wanted = schema(columns)
    try:
        file = pq.ParquetFile(_arrow_owned(data), pre_buffer=False)
        present = set(file.schema_arrow.names)
        names = [column for column in wanted.names if column in present]
        table = file.read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFileError(f"{name} is not a readable Parquet file") from error
    if wanted.names[0] not in table.column_names:
        raise DamagedFileError(f"{name} has no column '{wanted.names[0]}'")
    try:
        arrays = [_column(table, field) for field in wanted]
    except pa.ArrowException as error:
        raise DamagedFileError(f"{name} has columns of other types") from error
    return pa.Table.from_arrays(arrays, schema=wanted)


def read_trials(data: bytes, name: str, columns: Sequence[Column] = COLUMNS) -> pa.Table:
    """Read a file of the ledger's trials and check that each row is what its id says.

    Args:
        data: A file of the ledger.
        name: What it is called when it is told of.
        columns: What to read; those of `IDENTITY` must be among them.

    Raises:
        DamagedFileError: A row's definition does not hash to its id, or its status is unknown.
        UserError: A later version of the project wrote it.
    """
    table = read_table(data, name, columns)
    identity = table.select(["trial_id", "definition", "status", "schema_version"]).to_pylist()
    known = {status.value for status in Status}
    for row in identity:
        if (row["schema_version"] or 0) > SCHEMA_VERSION:
            raise UserError(
                f"{name} was written by a later version of tune_metalr; update this one"
            )
        digest = hashlib.sha256((row["definition"] or "").encode()).hexdigest()
        if not row["trial_id"] or not digest.startswith(row["trial_id"]):
            raise DamagedFileError(f"{name} holds a row that is not what its id says")
        if row["status"] not in known:
            raise DamagedFileError(f"{name} holds a row of unknown status")
    return table


def best_rows(table: pa.Table) -> pa.Table:
    """Keep one row per trial: a result before a failure, then the one that ended last."""
    ids = table["trial_id"].to_pylist()
    if len(set(ids)) == len(ids):
        return table
    failed = [status == Status.FAILED for status in table["status"].to_pylist()]
    ended = [text or "" for text in table["finished_utc"].to_pylist()]
    best: dict[str, int] = {}
    for row, trial_id in enumerate(ids):
        rival = best.get(trial_id)
        if rival is None or (not failed[row], ended[row]) > (not failed[rival], ended[rival]):
            best[trial_id] = row
    return table.take(sorted(best.values()))


def _arrow_owned(data: bytes) -> pa.BufferReader:
    """Return bytes as a file that no thread of Arrow needs Python to let go of.

    A thread that gives a Python object back while the interpreter ends aborts the process.
    """
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())


def _column(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name not in table.column_names:
        return pa.nulls(table.num_rows, field.type)
    return table[field.name].cast(field.type)
