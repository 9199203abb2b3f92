"""The optimizers, schedules and controllers that a study can name. Loads no torch."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Optimizer(NamedTuple):
    """A named optimizer: where it is, and what it takes beside parameters and rate."""

    path: str
    keywords: frozenset[str]
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
            "torch.optim:SGD", frozenset({"momentum", "dampening", "weight_decay", "nesterov"})
        ),
        "adam": Optimizer(
            "torch.optim:Adam", frozenset({"betas", "eps", "weight_decay", "amsgrad"})
        ),
        "rmsprop": Optimizer(
            "torch.optim:RMSprop",
            frozenset({"alpha", "eps", "weight_decay", "momentum", "centered"}),
        ),
    }
)

SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "constant": Schedule("the rate itself, after warm-up"),
        "cosine": Schedule("half a cosine from the rate to 0, after warm-up"),
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
