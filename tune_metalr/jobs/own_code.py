"""The user's own modules that a study names: found where Python found them."""

import sys
from collections.abc import Collection, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

_INSTALLED = {"site-packages", "dist-packages"}


class OwnFile(NamedTuple):
    """A file of the user's own code."""

    file: Path
    name: Path
    """Where Python looks for it: relative to a folder of `sys.path`."""


def own_code(modules: Collection[str]) -> list[OwnFile]:
    """Return the files of imported modules that are neither Python's nor installed.

    What pip has put somewhere is installed, wherever that is: a part of it is no whole.

    Of a package all its Python files belong to it, for a module may import another one later; and
    nothing else: a package's folder holds what nobody means to send.

    Args:
        modules: By their full names.
    """
    found: dict[Path, Path] = {}
    for module in modules:
        if module.partition(".")[0] in sys.stdlib_module_names:
            continue
        if (place := _place(module)) and not _is_installed(*place):
            folder, name = place
            found[name] = folder / name
            found |= {file.relative_to(folder): file for file in _package(folder / name.parts[0])}
    return [OwnFile(file, name) for name, file in sorted(found.items())]


def _place(module: str) -> tuple[Path, Path] | None:
    """Return the folder that a module was found in, and its file as seen from there."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    if file.suffix != ".py" or _INSTALLED & set(file.parts):
        return None
    name = Path(*module.split("."))
    name = name / file.name if file.name == "__init__.py" else name.with_suffix(".py")
    if file.parts[-len(name.parts) :] != name.parts:  # it only says that it is this module
        return None
    return Path(*file.parts[: -len(name.parts)]), name


def _is_installed(folder: Path, name: Path) -> bool:
    """Return whether a distribution that lies in a folder lists a file of it as its own."""
    records = (each.read_text("RECORD") or "" for each in distributions(path=[str(folder)]))
    return any(f"\n{name.as_posix()}," in f"\n{record}" for record in records)


def _package(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a package, without those of hidden folders."""
    for file in folder.rglob("*.py") if folder.is_dir() else ():
        within = file.relative_to(folder).parts
        if not any(part.startswith(".") or part in _INSTALLED for part in within):
            yield file
