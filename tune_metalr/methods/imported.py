"""Optimizers named by import path: any `torch.optim.Optimizer`."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from tune_metalr.errors import first_line, nearest
from tune_metalr.import_path import resolve

_LOSS = "loss"


def check_optimizer(path: str) -> None:
    """Make sure that a path names an optimizer that the training loop can drive.

    Raises:
        ValueError: It does not; the message is one line.
    """
    found = resolve(path)
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(f"'{path}' is no torch.optim.Optimizer")
    first = list(inspect.signature(found.step).parameters.values())[1:2]
    if first and first[0].default is inspect.Parameter.empty and first[0].name != _LOSS:
        raise ValueError(f"'{path}' needs a closure in each step; the training loop gives none")


def check_keywords(path: str, lr: float, keywords: Mapping[str, Any]) -> None:
    """Make sure that the optimizer takes the keywords, by building it once.

    Raises:
        ValueError: It does not; the message is one line.
    """
    takes = _parameters(path)
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        for name in ("lr", *keywords):
            if name not in takes:
                known = set(takes) - {"params", "lr"}
                raise ValueError(f"optimizer '{path}' takes no '{name}'{nearest(name, known)}")
    try:
        resolve(path)([torch.nn.Parameter(torch.zeros(1))], lr=lr, **as_arguments(keywords))
    except Exception as error:  # another package's code: it may raise anything
        raise ValueError(f"optimizer '{path}' cannot be built: {first_line(error)}") from None


def takes_keyword(path: str, name: str) -> bool:
    """Return whether an optimizer has a keyword of that name."""
    return name in _parameters(path)


def canonical_keywords(path: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return each number as the kind that the optimizer's default has.

    So 0 and 0.0 are one setting, not two trials, and a count stays a whole number.
    """
    takes = _parameters(path)
    return {
        name: _like(value, takes[name].default if name in takes else None)
        for name, value in keywords.items()
    }


def as_arguments(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords as optimizers take them: tuples for YAML's lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in keywords.items()
    }


def keeps_evaluation_weights(optimizer: object) -> bool:
    """Return whether an optimizer, or its class, switches weights by `train()` and `eval()`."""
    return all(callable(getattr(optimizer, switch, None)) for switch in ("train", "eval"))


def takes_loss(optimizer: Any) -> bool:
    """Return whether the step of an optimizer, or of its class, takes the `loss` by keyword."""
    return _LOSS in inspect.signature(optimizer.step).parameters


def _parameters(path: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(resolve(path)).parameters


def _like(value: Any, default: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_like(item, 0.0) for item in value]
    if isinstance(value, bool) or isinstance(default, str | bool):
        return value
    if isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, float) and value.is_integer() and isinstance(default, int):
        return int(value)
    if isinstance(value, int) and isinstance(default, float):
        return float(value)
    return value
