"""What is known of a good rate before training begins: from optimizer, horizon and width.

Every number was fitted on generated tasks and bundled digits by `tune_metalr.metalr.meta_training`,
and is read from `prior.json`, which records how.
"""

import json
import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn.parameter import is_lazy

PRIOR_FILE = Path(__file__).with_name("prior.json")

_REFERENCE_STEPS = 1000.0
REFERENCE_WIDTH = 100.0


class Family(StrEnum):
    """Optimizers whose steps are of one size at one rate."""

    ADAM = "adam"
    """Each weight moves by about the rate: Adam, its relatives, RMSprop."""
    SGD_MOMENTUM = "sgd-momentum"
    """Steps along the gradient, or its running mean: their size is that of the loss."""


class Prior(NamedTuple):
    """Rate, warm-up and weight decay of one family."""

    rate_at_1000_steps: float
    """Peak rate of a run of 1,000 steps, of a network 100 wide. For SGD in units of 1 / (first
    loss), and for an effective rate: the rate over one minus the momentum."""
    rate_exponent: float
    """The peak rate grows as (steps / 1,000) to this power."""
    warmup_fraction: float
    """Fraction of all steps in which the rate rises linearly; then it falls linearly to 0."""
    weight_decay: float
    width_exponent: float = 0.0
    """And as (width / 100) to this power."""

    def peak_rate(self, total_steps: int, width: float = REFERENCE_WIDTH) -> float:
        """Return the highest rate of a run.

        It was fitted on 300 to 11,000 steps and on widths of 32 to 2,048; beyond, the powers go on.
        Warm-ups and decays were tried on runs of fewer than 5,000 steps.

        Args:
            total_steps: Of the run.
            width: Of the network, see `width_of`.
        """
        by_steps = math.pow(total_steps / _REFERENCE_STEPS, self.rate_exponent)
        by_width = math.pow(width / REFERENCE_WIDTH, self.width_exponent)
        return self.rate_at_1000_steps * by_steps * by_width


def shape(step: int, total_steps: int, warmup_fraction: float) -> float:
    """Return the factor on the peak rate at a step, counted from 0.

    Warm-up has `round(warmup_fraction * total_steps)` steps: the first has 1/n of the peak, the
    last all of it. The first step after it has the peak; where one more would be, the line meets 0.
    """
    step = min(step, total_steps - 1)
    warmup_steps = min(round(warmup_fraction * total_steps), total_steps - 1)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1 - (step - warmup_steps) / (total_steps - warmup_steps)


def width_of(weights: Iterable[torch.Tensor]) -> float:
    """Return how many inputs a unit of the widest layer has: the wider, the lower the best rate.

    With Adam each of them moves by the rate, and what they do to the unit adds up (Yang et al.
    2022, arXiv 2203.03466). Of an embedding it is the length of a row; of a transposed convolution,
    whose weights lie the other way round, the outputs are counted. A network whose weights have no
    shape, or none yet, has the reference's width.
    """
    widths = [
        math.prod(weight.shape[1:])
        for weight in weights
        if not is_lazy(weight) and weight.dim() > 1 and weight.numel()
    ]
    return float(max(widths, default=REFERENCE_WIDTH))


def family_of(optimizer: torch.optim.Optimizer) -> Family:
    """Return the family of an optimizer: SGD by its class; all others normalise their steps."""
    return Family.SGD_MOMENTUM if isinstance(optimizer, torch.optim.SGD) else Family.ADAM


@cache
def priors() -> Mapping[Family, Prior]:
    """Return the shipped prior of each family."""
    families = json.loads(PRIOR_FILE.read_text())["families"]
    return {family: Prior(**families[family]) for family in Family}
