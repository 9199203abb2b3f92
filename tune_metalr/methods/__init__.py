"""The optimizers, schedules and controllers that a study can name. Loads no torch."""

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeGuard


class Keyword(StrEnum):
    """What a keyword of an optimizer takes; the value says it to the user."""

    FLAG = "true or false"
    NUMBER = "a number of at least 0"
    FRACTION = "a number from 0 to below 1"
    FRACTIONS = "two numbers from 0 to below 1, such as [0.9, 0.999]"

    def accepts(self, value: object) -> bool:
        """Return whether the optimizer would take the value."""
        if self is Keyword.FLAG:
            return isinstance(value, bool)
        if self is Keyword.FRACTIONS:
            return isinstance(value, list) and len(value) == 2 and all(map(_is_fraction, value))
        if self is Keyword.FRACTION:
            return _is_fraction(value)
        return _is_number(value) and value >= 0


class Optimizer(NamedTuple):
    """A named optimizer: where it is, and what it takes beside parameters and rate."""

    path: str
    keywords: Mapping[str, Keyword]
    revision: int = 1


class Schedule(NamedTuple):
    """A fixed course of the rate: its factor at each step is known before training."""

    meaning: str
    revision: int = 1


class Controller(NamedTuple):
    """What sets the rate of each step."""

    path: str
    sets_rate: bool
    """Whether it chooses the rate itself, so that a schedule beside it makes no sense."""
    meaning: str
    revision: str = "1"


# The keywords are those of torch 2.13; a test compares them with the signatures.
OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType(
    {
        "sgd": Optimizer(
            "torch.optim:SGD",
            {
                "momentum": Keyword.NUMBER,
                "dampening": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
                "nesterov": Keyword.FLAG,
            },
        ),
        "adam": Optimizer(
            "torch.optim:Adam",
            {
                "betas": Keyword.FRACTIONS,
                "eps": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
                "amsgrad": Keyword.FLAG,
            },
        ),
        "rmsprop": Optimizer(
            "torch.optim:RMSprop",
            {
                "alpha": Keyword.FRACTION,
                "eps": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
                "momentum": Keyword.NUMBER,
                "centered": Keyword.FLAG,
            },
        ),
    }
)

SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "constant": Schedule("the rate itself, after warm-up"),
        "cosine": Schedule("half a cosine from the rate to 0, after warm-up"),
        "linear": Schedule("a straight line from the rate to 0, after warm-up"),
    }
)

CONTROLLERS: Mapping[str, Controller] = MappingProxyType(
    {
        "fixed": Controller(
            "tune_metalr.methods.fixed:FixedSchedule",
            sets_rate=False,
            meaning="the study's rate, on its schedule",
        ),
    }
)


def method_revision(optimizer: str, schedule: str, controller: str) -> str:
    """Name the arithmetic behind a method; it is part of a trial's identity."""
    parts = (
        OPTIMIZERS[optimizer].revision,
        SCHEDULES[schedule].revision,
        CONTROLLERS[controller].revision,
    )
    return "-".join(str(part) for part in parts)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_fraction(value: object) -> bool:
    return _is_number(value) and 0 <= value < 1
