"""Compares learning-rate methods on Ray Tune. Importing this loads neither torch nor ray."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_metalr.as_optimizer import AsOptimizer
    from tune_metalr.batch_loss import BatchLoss, BatchLosses
    from tune_metalr.metalr.metalr import MetaLR
    from tune_metalr.workloads import PythonWorkload

__all__ = ["AsOptimizer", "BatchLoss", "BatchLosses", "MetaLR", "PythonWorkload"]

_HOMES = {
    "AsOptimizer": "tune_metalr.as_optimizer",
    "BatchLoss": "tune_metalr.batch_loss",
    "BatchLosses": "tune_metalr.batch_loss",
    "MetaLR": "tune_metalr.metalr.metalr",
    "PythonWorkload": "tune_metalr.workloads",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the package itself loads nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tune_metalr' has no attribute '{name}'")
