"""Rows as files: small, and reading them leaves nothing behind that could spoil a process's end."""

import io
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from tune_metalr.rows import to_bytes, to_table
from tune_metalr.trial import COLUMNS

_READS = """
import sys
from tune_metalr.rows import read_table
from tune_metalr.trial import COLUMNS
for _ in range(4):
    table = read_table(open(sys.argv[1], "rb").read(), "rows", COLUMNS)
    del table
"""
_PROCESSES = 40
"""One in ten aborted while Arrow's threads held bytes of Python's."""


@pytest.mark.heavy
def test_a_process_that_ends_just_after_reading_ends_well(tmp_path):
    file = tmp_path / "rows.parquet"
    file.write_bytes(to_bytes(to_table(map(_row, range(100)), COLUMNS)))

    ended = [
        subprocess.run([sys.executable, "-c", _READS, file], capture_output=True, text=True)
        for _ in range(_PROCESSES)
    ]

    assert [(process.returncode, process.stderr) for process in ended] == [(0, "")] * _PROCESSES


def _row(number):
    values = {"string": f"text {number}", "int64": number, "float64": 0.1 * number}
    return {column.name: values.get(column.dtype, [0.1 * number] * 500) for column in COLUMNS}


def test_rates_that_seeds_share_take_little_room():
    rng = np.random.default_rng(0)
    paths = [rng.normal(size=471).tolist() for _ in range(40)]
    rows = [{"learning_rates": path} for _ in range(30) for path in paths]
    table = to_table(rows, [column for column in COLUMNS if column.name == "learning_rates"])
    data = to_bytes(table)
    assert len(data) < 1.5 * 8 * 471 * len(paths)
    assert pq.read_table(io.BytesIO(data)).equals(table)
