"""Compares learning-rate methods on Ray Tune. Importing this loads neither torch nor ray."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_metalr.workloads import PythonWorkload

__all__ = ["PythonWorkload"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the package itself loads nothing."""
    if name == "PythonWorkload":
        from tune_metalr.workloads import PythonWorkload

        return PythonWorkload
    raise AttributeError(f"module 'tune_metalr' has no attribute '{name}'")
