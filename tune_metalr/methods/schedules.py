"""Fixed schedules: the factor on the rate at each step, from 0 to 1."""

import math


def factor(schedule: str, *, step: int, total_steps: int, warmup_fraction: float) -> float:
    """Return the factor of step `step` (from 0) of `total_steps`.

    Warm-up is linear and takes the first `round(warmup_fraction * total_steps)` steps: its
    first step has factor 1/n, its last has 1. The schedule begins at the step after it.
    """
    warmup_steps = round(warmup_fraction * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return _decay(schedule, progress)


def _decay(schedule: str, progress: float) -> float:
    """Return the factor at `progress` in [0, 1) of the steps after warm-up."""
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "linear":
        return 1 - progress
    raise ValueError(f"unknown schedule {schedule!r}")
