"""The code of a run: what it is made by changes its name, what is said about it does not."""

import importlib
import sys

import pytest

from tune_metalr.metalr import features
from tune_metalr.metalr.meta_training import code_digest as module
from tune_metalr.metalr.meta_training.code_digest import code_digest
from tune_metalr.metalr.meta_training.run import train
from tune_metalr.metalr.meta_training.tasks import suite

INNER = """
RATE = 0.1
"""

OUTER = """
from made_up.inner import RATE


def run():
    return RATE
"""


@pytest.fixture
def version(tmp_path, monkeypatch):
    folder = tmp_path / "made_up"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "_PACKAGE", "made_up")

    def version(inner=INNER, outer=OUTER):
        for name, text in (("inner", inner), ("outer", outer)):
            (folder / f"{name}.py").write_text(text)
        for name in ("made_up", "made_up.inner", "made_up.outer"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return code_digest(importlib.import_module("made_up.outer").run)

    yield version
    for name in ("made_up", "made_up.inner", "made_up.outer"):
        sys.modules.pop(name, None)


def test_words_and_layout_do_not_count(version) -> None:
    told = '"""What it is for."""\n' + INNER.replace("0.1", "(\n    0.1  # tenth\n)")
    told += '"""Below a constant."""\n'
    outer = OUTER.replace("    return", '    """Run."""\n    return')
    assert version(told, outer) == version()


@pytest.mark.parametrize(
    "changed",
    [
        {"outer": OUTER.replace("return RATE", "return -RATE")},
        {"inner": INNER.replace("0.1", "0.2")},
        {"outer": OUTER.replace("return RATE", 'return f"{RATE}"')},
        {
            "inner": "RATE = 0.2",
            "outer": "from made_up import inner\n\n\ndef run(): return inner.RATE",
        },
    ],
)
def test_what_is_run_counts_wherever_it_stands(version, changed) -> None:
    assert version(**changed) != version()


def test_another_torch_counts(version, monkeypatch) -> None:
    before = version()
    monkeypatch.setattr(module.importlib.metadata, "version", lambda package: "0.0")
    assert version() != before


def test_a_run_of_the_suite_counts_its_tasks_training_and_features() -> None:
    modules = module._closure([train.__module__, suite.__module__])
    assert features.__name__ in modules
    for name in ("attention", "images", "objectives", "sequences", "task", "variation", "vectors"):
        assert f"{train.__module__.rpartition('.')[0]}.{name}" in modules
    assert "tune_metalr.metalr.metalr" not in modules
