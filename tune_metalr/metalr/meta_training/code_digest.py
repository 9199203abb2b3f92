"""Which code a run is made by: what old and new code have found is never mixed.

Comments, docstrings and layout do not count: mending a word must not cost hours of runs. What
arithmetic comes from counts too, and so does Python, by whose grammar the code is read.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]
_ARITHMETIC = ("torch", "scikit-learn")
"""Installed packages whose version counts too."""
_LENGTH = 12


def code_digest(*functions: Callable[..., object]) -> str:
    """Return a name for the modules of functions, and for all that these import of this package."""
    python = ".".join(platform.python_version_tuple()[:2])
    found = hashlib.sha256(f"Python {python}\n".encode())
    for package in _ARITHMETIC:
        version = importlib.metadata.version(package).partition("+")[0]
        found.update(f"{package} {version}\n".encode())
    modules = [function.__module__ for function in functions]
    for name, tree in sorted(_closure(modules).items()):
        found.update(f"{name} {ast.dump(tree)}\n".encode())
    return found.hexdigest()[:_LENGTH]


def _closure(modules: list[str]) -> dict[str, ast.Module]:
    trees: dict[str, ast.Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in trees and (file := _file(name)) is not None:
            trees[name] = _without_docstrings(ast.parse(file.read_bytes()))
            waiting += _imported(trees[name])
    return trees


def _file(name: str) -> Path | None:
    """Return a module's file; `None` for a name that stands in a module, but is none."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports of this package, be it a module or something in one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == _PACKAGE)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Take every statement out that is a text alone, such as what stands below a constant."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
