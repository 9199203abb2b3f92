"""Builds the optimizer and the controller that a trial names."""

import importlib
from collections.abc import Iterable
from typing import Any

import torch

from tune_metalr.methods import CONTROLLERS, OPTIMIZERS
from tune_metalr.methods.base import LearningRateController
from tune_metalr.trial import Trial

_NOT_THE_OPTIMIZERS = frozenset({"warmup_fraction", "clip_norm"})


def build_optimizer(
    trial: Trial, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Build the trial's optimizer over the parameters, in one group."""
    keywords = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in trial.hyperparameters.items()
        if name not in _NOT_THE_OPTIMIZERS and value is not None
    }
    optimizer: torch.optim.Optimizer = _resolve(OPTIMIZERS[trial.optimizer].path)(
        parameters, **keywords
    )
    return optimizer


def build_controller(
    trial: Trial, optimizer: torch.optim.Optimizer, *, total_steps: int
) -> LearningRateController:
    """Build the trial's controller around its optimizer."""
    keywords: dict[str, Any] = {}
    if not CONTROLLERS[trial.controller].sets_rate:
        keywords["schedule"] = trial.schedule
        keywords["warmup_fraction"] = trial.hyperparameters.get("warmup_fraction") or 0.0
    controller: LearningRateController = _resolve(CONTROLLERS[trial.controller].path)(
        optimizer, total_steps, **keywords
    )
    return controller


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
