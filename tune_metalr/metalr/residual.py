"""The residual: a small network that moves the prior's rate by what a run shows of itself.

Its last layer starts at zero: untrained, it moves nothing. It is trusted within what its training
has seen, and nowhere else: inputs are clipped to the range of the suite, and where more than a
tenth of them had to be, or cannot be told, nothing is moved: of fewer than ten, one is enough.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.prior import PRIOR_FILE, Family

RESIDUAL_FILES: Mapping[Family, str] = MappingProxyType(
    {family: f"residual-{family}.safetensors" for family in Family}
)
"""Beside this module, where a residual pays."""

BOUND = math.log(4.0)
"""The farthest that the log rate is moved."""

HORIZON = "horizon"
"""The input that is known before training: log of the planned steps over 1,000."""

_MOST_CLIPPED = 0.1
_HIDDEN = 8


class Range(NamedTuple):
    """What the suite has shown of one input."""

    centre: float
    scale: float
    lowest: float
    highest: float

    def holds(self, value: float) -> bool:
        """Return whether the suite has shown such a value."""
        return self.lowest <= value <= self.highest

    def placed(self, value: float) -> float:
        """Return a value, clipped, in units of the suite."""
        return (min(self.highest, max(self.lowest, value)) - self.centre) / self.scale


class Residual:
    """Maps features to a move of the log rate.

    Args:
        ranges: Of each input: names of `Features`, and `HORIZON`.
        weights: hidden [units, inputs], bias [units], output [units], in float64.
    """

    def __init__(self, ranges: Mapping[str, Range], weights: Mapping[str, torch.Tensor]) -> None:
        self.ranges = dict(ranges)
        self._weights = dict(weights)

    @classmethod
    def untrained(cls, ranges: Mapping[str, Range], *, seed: int) -> "Residual":
        """Return a network that moves nothing."""
        stream = torch.Generator().manual_seed(seed)
        hidden = torch.randn(_HIDDEN, len(ranges), generator=stream, dtype=torch.float64)
        weights = {
            "hidden": hidden / math.sqrt(len(ranges)),
            "bias": torch.zeros(_HIDDEN, dtype=torch.float64),
            "output": torch.zeros(_HIDDEN, dtype=torch.float64),
        }
        return cls(ranges, weights)

    def log_move(self, features: Features, *, total_steps: int) -> float:
        """Return how far the log rate is to be moved from the prior's.

        Args:
            features: Of the last look.
            total_steps: Of the run.
        """
        inputs = self.inputs_of(features, total_steps=total_steps)
        return 0.0 if inputs is None else float(self.moves(inputs[None])[0])

    def inputs_of(self, features: Features, *, total_steps: int) -> torch.Tensor | None:
        """Return the network's inputs [inputs]; `None` where it must not move anything."""
        values = features._asdict() | {HORIZON: math.log(total_steps / 1000)}
        given = {name: values[name] for name in self.ranges}
        outside = sum(not self.ranges[name].holds(value) for name, value in given.items())
        if outside > _MOST_CLIPPED * len(given) or any(map(math.isnan, given.values())):
            return None
        placed = [self.ranges[name].placed(value) for name, value in given.items()]
        return torch.tensor(placed, dtype=torch.float64)

    def moves(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map inputs [runs, inputs] to moves of the log rate [runs]."""
        units = torch.tanh(inputs @ self._weights["hidden"].T + self._weights["bias"])
        return BOUND * torch.tanh(units @ self._weights["output"] / BOUND)

    def vector(self) -> torch.Tensor:
        """Return all weights in one row."""
        return torch.cat([weight.flatten() for weight in self._weights.values()])

    def with_vector(self, vector: torch.Tensor) -> "Residual":
        """Return the network that has these weights."""
        sizes = [weight.numel() for weight in self._weights.values()]
        parts = vector.double().split(sizes)  # type: ignore[no-untyped-call]
        weights = {
            name: part.reshape(weight.shape).clone()
            for (name, weight), part in zip(self._weights.items(), parts, strict=True)
        }
        return Residual(self.ranges, weights)

    def save(self, file: Path) -> None:
        """Write weights and ranges as safetensors."""
        from safetensors.torch import save_file

        ranges = {name: list(span) for name, span in self.ranges.items()}
        save_file(self._weights, file, metadata={"ranges": json.dumps(ranges)})

    @classmethod
    def read(cls, file: Path) -> "Residual":
        """Read what `save` wrote."""
        from safetensors import safe_open

        with safe_open(file, framework="pt") as content:
            ranges = json.loads(content.metadata()["ranges"])
            weights = {name: content.get_tensor(name) for name in ("hidden", "bias", "output")}
        return cls({name: Range(*span) for name, span in ranges.items()}, weights)


@cache
def shipped_residual(family: Family) -> Residual | None:
    """Return the residual that corrects the shipped prior; `None` where none has paid.

    It is the one that the prior's file names: another was learned around another law.

    Raises:
        ValueError: The file that is named is not there, or is another.
    """
    named = json.loads(PRIOR_FILE.read_text())["residuals"].get(family)
    if named is None:
        return None
    file = PRIOR_FILE.with_name(RESIDUAL_FILES[family])
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != named:
        raise ValueError(
            f"{file} is not the one that {PRIOR_FILE.name} names: install the package anew"
        )
    return Residual.read(file)
