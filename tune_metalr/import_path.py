"""Objects named by import path: the only way in which a study file can run code."""

import hashlib
import importlib
import importlib.metadata
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tune_metalr.errors import first_line, install, nearest

_VERSION_LENGTH = 12

# The names under which the packages of the extra `peers` are installed differ from their modules'.
_PEERS = {
    "dadaptation": "dadaptation",
    "dog": "dog-optimizer",
    "mechanic_pytorch": "mechanic-pytorch",
    "momo": "momo-opt",
    "prodigyopt": "prodigyopt",
    "schedulefree": "schedulefree",
}


def is_import_path(name: str) -> bool:
    """Return whether a name is written as `package.module.Thing`."""
    return all(part.isidentifier() for part in name.split(".")) and "." in name


def resolve(path: str) -> Any:
    """Import what `package.module.Thing` names.

    Raises:
        ValueError: It cannot be imported; the message is one line.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ValueError(f"'{path}' is no import path, such as package.module.Thing")
    module = _import(path, module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        hint = nearest(name, vars(module), module=module_name)
        raise ValueError(f"cannot import '{path}': no '{name}' in '{module_name}'{hint}") from None


def code_version(thing: Any) -> str:
    """Name the code of a class: its package's version, or the content of the user's own file.

    It is part of a trial's identity, so that results of old and new code are never mixed. A class
    that changes little of another package's says so itself, by `adapts`, the other class, and
    `revision`, its own: it has the version of both.
    """
    own = vars(thing)  # a class made of an adapter is no adapter
    if isinstance(own.get("adapts"), type):
        return f"{code_version(own['adapts'])}.{own['revision']}"
    module_name: str = thing.__module__
    package = module_name.partition(".")[0]
    distributions = _distributions().get(package)
    if distributions:
        version = importlib.metadata.version(distributions[0]).partition("+")[0]
        return f"{package}-{version}"
    file = getattr(sys.modules[module_name], "__file__", None)
    if file is None:  # an interactive session
        return package
    return f"{package}-{hashlib.sha256(Path(file).read_bytes()).hexdigest()[:_VERSION_LENGTH]}"


def look_in(folder: Path) -> None:
    """Find import paths in a folder too, after everything that is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return which packages are installed; a study asks once for each of its trials."""
    return importlib.metadata.packages_distributions()


def _import(path: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name in _PEERS:
            raise ValueError(
                f"'{path}' needs the package '{_PEERS[error.name]}': {install('peers')}"
            ) from None
        raise ValueError(
            f"cannot import '{path}': no module '{error.name}' is installed, nor in the folder "
            f"that the command is run from"
        ) from None
    except (Exception, SystemExit) as error:  # a module may raise anything while it loads
        reason = first_line(error, "no reason given")
        raise ValueError(f"cannot import '{path}': {type(error).__name__}: {reason}") from None
