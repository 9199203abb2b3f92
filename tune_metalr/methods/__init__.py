"""The optimizers, schedules and controllers that a study can name. Loads no torch."""

import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from tune_metalr.import_path import code_version, resolve


class Keyword(StrEnum):
    """What a keyword of an optimizer takes; the value says it to the user."""

    FLAG = "true or false"
    NUMBER = "a number of at least 0"
    FRACTION = "a number from 0 to below 1"
    FRACTIONS = "two numbers from 0 to below 1, such as [0.9, 0.999]"
    COUNT = "a whole number of at least 0"
    FACTORS = "numbers above 0, such as [1, 0.1, 0.01]"

    def accepts(self, value: object) -> bool:
        """Return whether the optimizer would take the value."""
        if self is Keyword.FLAG:
            return isinstance(value, bool)
        if self is Keyword.FRACTIONS:
            return isinstance(value, list) and len(value) == 2 and all(map(_is_fraction, value))
        if self is Keyword.FACTORS:
            return isinstance(value, list) and bool(value) and all(map(_is_above_0, value))
        if self is Keyword.FRACTION:
            return _is_fraction(value)
        if self is Keyword.COUNT and not (_is_number(value) and float(value).is_integer()):
            return False
        return _is_number(value) and value >= 0


class Optimizer(NamedTuple):
    """A named optimizer: where it is, and what it takes beside parameters and rate."""

    path: str
    keywords: Mapping[str, Keyword]
    revision: int = 1
    is_fused: bool = False
    """Whether torch has it as one kernel: for Adam on an LSTM, a ninth of the time of a step."""


class Setting(NamedTuple):
    """What a schedule takes beside the rate and the warm-up: a number, or a list of them."""

    kind: Keyword
    default: float | tuple[float, ...]


class Schedule(NamedTuple):
    """The course of the rate over training."""

    meaning: str
    settings: Mapping[str, Setting] = MappingProxyType({})
    revision: int = 1


class Controller(NamedTuple):
    """What sets the rate of each step."""

    path: str
    sets_rate: bool
    """Whether it chooses the rate itself, so that a schedule beside it makes no sense."""
    meaning: str
    revision: str = "1"
    averages: bool = False
    """Whether it evaluates averaged weights of its own, so that no average goes around it."""
    sets_weight_decay: bool = False
    """Whether it chooses the weight decay too, where the study says none."""
    draws: bool = False
    """Whether it draws random numbers, from a stream of its own."""
    has_prior: bool = False
    """Whether its arithmetic rests on the shipped prior, which is then part of its revision."""
    has_residual: bool = False
    """Whether shipped residuals, if there are any, correct that prior: they are part, too."""
    gives_loss: bool = False
    """Whether it gives the loss to an optimizer whose step takes it."""


class Averaging(NamedTuple):
    """What a method may do to its weights before they are evaluated."""

    meaning: str
    revision: int = 1


# The keywords are those of torch 2.13; a test compares them with the signatures.
OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType(
    {
        "sgd": Optimizer(
            "torch.optim.SGD",
            {
                "momentum": Keyword.NUMBER,
                "dampening": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
                "nesterov": Keyword.FLAG,
            },
        ),
        "adam": Optimizer(
            "torch.optim.Adam",
            {
                "betas": Keyword.FRACTIONS,
                "eps": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
                "amsgrad": Keyword.FLAG,
            },
            revision=2,
            is_fused=True,
        ),
        "adamw": Optimizer(
            "torch.optim.AdamW",
            {
                "betas": Keyword.FRACTIONS,
                "eps": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
                "amsgrad": Keyword.FLAG,
            },
            is_fused=True,
        ),
        "nadamw": Optimizer(
            "tune_metalr.methods.nadamw.NAdamW",
            {
                "betas": Keyword.FRACTIONS,
                "eps": Keyword.NUMBER,
                "weight_decay": Keyword.NUMBER,
            },
        ),
        "rmsprop": Optimizer(
            "torch.optim.RMSprop",
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

PIECEWISE = "piecewise"
ROUND_FACTORS = "round_factors"

SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "constant": Schedule("the rate itself"),
        "cosine": Schedule("half a cosine from the rate to 0"),
        "linear": Schedule("a straight line from the rate to 0"),
        "one-cycle": Schedule(
            "half a cosine from 1/25 of the rate up to it, and one from there to 1/250,000; the "
            "momentum stays",
            {"peak_fraction": Setting(Keyword.FRACTION, 0.3)},
        ),
        "reduce-on-plateau": Schedule(
            "the rate, multiplied by plateau_factor whenever the validation loss has not fallen by "
            "0.01 % for more than plateau_patience epochs",
            {
                "plateau_factor": Setting(Keyword.FRACTION, 0.1),
                "plateau_patience": Setting(Keyword.COUNT, 10),
            },
        ),
        PIECEWISE: Schedule(
            "the rate, multiplied by each of round_factors in turn, in equal parts of training",
            {ROUND_FACTORS: Setting(Keyword.FACTORS, (1.0,))},
        ),
    }
)

CONTROLLERS: Mapping[str, Controller] = MappingProxyType(
    {
        "fixed": Controller(
            "tune_metalr.methods.fixed.FixedSchedule",
            sets_rate=False,
            meaning="the study's rate, on its schedule",
            gives_loss=True,
        ),
        "hypergradient": Controller(
            "tune_metalr.methods.hypergradient.Hypergradient",
            sets_rate=True,
            meaning="multiplies the rate by 1 + 0.02 cos(gradient, last step)",
        ),
        "online-mlp": Controller(
            "tune_metalr.methods.online_mlp.OnlineMLP",
            sets_rate=True,
            meaning="a small network maps loss, gradient and curvature to the rate; trained during "
            "training by the normalised hypergradient",
        ),
        "policy-gradient": Controller(
            "tune_metalr.methods.policy_gradient.PolicyGradient",
            sets_rate=True,
            meaning="a Gaussian policy over changes of the log rate; its reward is how the loss "
            "falls",
            draws=True,
        ),
        "lr-finder": Controller(
            "tune_metalr.methods.lr_finder.LRFinder",
            sets_rate=True,
            meaning="a range test, charged as steps of the run, then one cycle",
        ),
        "prior": Controller(
            "tune_metalr.metalr.prior_controller.PriorController",
            sets_rate=True,
            meaning="rate, warm-up, decay, weight decay as functions of optimizer, horizon, width",
            sets_weight_decay=True,
            has_prior=True,
        ),
        "metalr": Controller(
            "tune_metalr.metalr.metalr.MetaLR",
            sets_rate=True,
            meaning="the prior, corrected by second-order probes and guarded against blow-ups",
            revision="5",
            sets_weight_decay=True,
            has_prior=True,
            has_residual=True,
        ),
    }
)

DEFAULT_LR = 1e-3
"""Where a controller that sets the rate itself begins, if the study says nothing."""

_PRIOR_FILE = Path(__file__).parents[1] / "metalr" / "prior.json"
_DIGEST_LENGTH = 12

AVERAGING = Averaging("evaluates a running average of the weights, in which early ones fade")

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        name: setting
        for schedule in SCHEDULES.values()
        for name, setting in schedule.settings.items()
    }
)
"""Every setting of every schedule."""


def method_revision(
    optimizer: str, schedule: str, controller: str, *, averaging: bool = False
) -> str:
    """Name the arithmetic behind a method; it is part of a trial's identity.

    Raises:
        ValueError: The optimizer is an import path, and cannot be imported.
    """
    parts = (
        _optimizer_revision(optimizer),
        SCHEDULES[schedule].revision,
        _controller_revision(controller),
        *((AVERAGING.revision,) if averaging else ()),
    )
    return "-".join(str(part) for part in parts)


def _controller_revision(name: str) -> str:
    controller = CONTROLLERS[name]
    if not controller.has_prior:
        return controller.revision
    return f"{controller.revision}.{_digest(_PRIOR_FILE, has_residual=controller.has_residual)}"


def meta_training_seconds(controller: str) -> float | None:
    """Return the CPU-seconds that the shipped controller was trained for.

    `None` if it was not, or is not known here.
    """
    known = CONTROLLERS.get(controller)
    if known is None or not known.has_prior:
        return None
    return float(json.loads(_PRIOR_FILE.read_text())["record"]["seconds"])


@cache
def _digest(file: Path, *, has_residual: bool) -> str:
    """Return a hash of laws, and of the residuals that the file names."""
    content = json.loads(file.read_text())
    hashed = hashlib.sha256(json.dumps(content["families"], sort_keys=True).encode())
    if has_residual and content["residuals"]:
        hashed.update(json.dumps(content["residuals"], sort_keys=True).encode())
    return hashed.hexdigest()[:_DIGEST_LENGTH]


def _optimizer_revision(name: str) -> str:
    if name in OPTIMIZERS:
        return str(OPTIMIZERS[name].revision)
    return code_version(resolve(name))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_above_0(value: object) -> bool:
    return _is_number(value) and value > 0


def _is_fraction(value: object) -> bool:
    return _is_number(value) and 0 <= value < 1
