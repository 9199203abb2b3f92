"""Results are data: reading somebody's ledger or checkpoints runs none of their code."""

import ast
import io
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from analysis.load import load_trials
from tests.conftest import REPOSITORY
from tests.test_ledger import full_row, trial
from tests.test_worker import order, row_of, unfinished  # noqa: F401
from tune_metalr import worker
from tune_metalr.inheritance import unpacked
from tune_metalr.ledger import Ledger
from tune_metalr.trial import Role, Status, WantedTrial

SOURCES = [
    path for package in ("tune_metalr", "analysis") for path in sorted((REPOSITORY / package).rglob("*.py"))
]  # fmt: skip
PICKLING = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
UNSAFE = {"read_pickle", "unsafe_load", "full_load", "load_all", "unsafe_load_all", "full_load_all"}
LOADING = {"load", "loads"}
SAFE_LOADS = {
    "torch": ("weights_only", True),
    "np": ("allow_pickle", False),
    "numpy": ("allow_pickle", False),
}
SAFE_OWNERS = {"json", "checkpoints", "self._kept", "workload"}
"""Whose `load` is ours, or reads no code. Any other has to be looked at, and added here."""


def unsafe(source: str) -> list[str]:
    """Return the lines of a source in which data could run code."""
    return [
        f"line {node.lineno}: {ast.unparse(node)[:80]}"
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Import | ast.ImportFrom) and _imports_pickling(node))
        or (isinstance(node, ast.Call) and _is_unsafe(node))
    ]


def _imports_pickling(node):
    """Return whether an import brings what unpickles, or a `load` without the name of its owner."""
    names = {alias.name for alias in node.names}
    modules = set() if isinstance(node, ast.Import) else {node.module or ""}
    parts = {part for name in names | modules for part in name.split(".")}
    taken_alone = isinstance(node, ast.ImportFrom) and node.module != "json" and names & LOADING
    return bool(parts & PICKLING or taken_alone)


def _is_unsafe(call):
    if isinstance(call.func, ast.Name):
        return call.func.id in BUILTINS
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if name in UNSAFE:
        return True
    if name not in LOADING or owner in SAFE_OWNERS:
        return False
    if owner not in SAFE_LOADS:
        return True
    keyword, value = SAFE_LOADS[owner]
    given = {item.arg: item.value for item in call.keywords}
    return keyword not in given or ast.unparse(given[keyword]) != str(value)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_source_reads_a_pickle(path):
    assert unsafe(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from torch import load",
        "from torch.serialization import load",
        "import dill",
        "import _pickle",
        "import ray.cloudpickle",
        "from ray import cloudpickle",
        "from ray.cloudpickle import dumps",
        "import torch as t; t.load(file)",
        "anything.loads(data)",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "torch.load(file, weights_only=trusted)",
        "np.load(file, allow_pickle=True)",
        "np.load(file)",
        "pandas.read_pickle(file)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
    ],
)
def test_what_would_read_one_is_found(line):
    assert unsafe(line)


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(file, weights_only=True)",
        "np.load(file, allow_pickle=False)",
        "json.loads(text)",
        "from json import loads",
        "yaml.safe_load(text)",
    ],
)
def test_what_reads_data_alone_is_let_through(line):
    assert unsafe(line) == []


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def sprung(tmp_path):
    return tmp_path / "sprung"


@pytest.fixture
def poisoned(sprung):
    """A checkpoint whose unpickling runs code; it does when pickle reads it."""
    buffer = io.BytesIO()
    torch.save({"model": Trap(sprung)}, buffer)
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert sprung.exists()
    sprung.unlink()
    return buffer.getvalue()


def test_a_poisoned_checkpoint_runs_nothing(poisoned, sprung):
    for state in (poisoned, pickle.dumps(Trap(sprung), protocol=2)):
        with pytest.raises(pickle.UnpicklingError):
            unpacked(state)
    assert not sprung.exists()


def test_a_trial_that_finds_a_poisoned_checkpoint_fails_and_says_why(
    order, make_trial, poisoned, sprung  # noqa: F811
):  # fmt: skip
    trial = make_trial()
    unfinished(order).save(trial.trial_id, poisoned)
    assert worker.run_trial(trial, "sgd", order) is Status.FAILED
    assert "UnpicklingError" in row_of(order, trial)["error"]
    assert not sprung.exists()


def test_a_poisoned_row_runs_nothing(tmp_path, sprung):
    ledger = Ledger(tmp_path / "study")
    ledger.create()
    ledger.write_study(
        "name: study\n", [WantedTrial(trial(0), Role.BASELINE, "sgd", 0.9)], ["tune-metalr"]
    )
    ledger.record(full_row(0))
    (row,) = [path for path in (tmp_path / "study").rglob("*.parquet") if "wanted" not in path.name]
    table = pq.read_table(row)
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Trap(sprung)),
    }
    fields = [pa.field(field.name, field.type, metadata=metadata) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), row)
    assert len(load_trials(tmp_path / "study")) == 1
    assert not sprung.exists()
