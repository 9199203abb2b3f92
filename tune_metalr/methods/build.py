"""Builds the optimizer and the controller that a trial names."""

from collections.abc import Iterable
from typing import Any

import torch

from tune_metalr.controller import LearningRateController
from tune_metalr.errors import UserError
from tune_metalr.import_path import resolve
from tune_metalr.methods import CONTROLLERS, OPTIMIZERS, SCHEDULES, SETTINGS, method_revision
from tune_metalr.methods.averaging import AveragedWeights
from tune_metalr.methods.imported import as_arguments
from tune_metalr.seeds import derive_seed
from tune_metalr.trial import Trial

_NOT_THE_OPTIMIZERS = frozenset({"warmup_fraction", "clip_norm", "averaging", *SETTINGS})


def build_optimizer(
    trial: Trial, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Build the trial's optimizer over the parameters, in one group.

    Raises:
        UserError: The optimizer's code is missing here, or another than the study was planned on.
    """
    try:
        revision = method_revision(
            trial.optimizer,
            trial.schedule,
            trial.controller,
            averaging=_averages(trial),
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    if revision != trial.method_revision:
        raise UserError(
            f"the method of trial {trial.trial_id} is revision {revision} here, but was planned as "
            f"{trial.method_revision}: install the same version of '{trial.optimizer}' everywhere"
        )
    known = OPTIMIZERS.get(trial.optimizer)
    keywords = as_arguments(
        {
            name: value
            for name, value in trial.hyperparameters.items()
            if name not in _NOT_THE_OPTIMIZERS
        }
    )
    if known and known.is_fused:
        keywords["fused"] = True
    optimizer: torch.optim.Optimizer = resolve(known.path if known else trial.optimizer)(
        parameters, **keywords
    )
    return optimizer


def build_controller(
    trial: Trial, optimizer: torch.optim.Optimizer, *, total_steps: int
) -> LearningRateController:
    """Build the trial's controller around its optimizer, and its averaging around that.

    Raises:
        ValueError: The trial wants averaged weights of a method that averages them itself.
    """
    keywords: dict[str, Any] = {}
    given = trial.hyperparameters
    kind = CONTROLLERS[trial.controller]
    if kind.draws:
        keywords["seed"] = derive_seed("controller", trial.workload, trial.seed)
    if kind.sets_weight_decay:
        keywords["sets_weight_decay"] = "weight_decay" not in given
    if kind.has_prior:
        keywords["initial_lr"] = given["lr"]
    if not kind.sets_rate:
        settings = SCHEDULES[trial.schedule].settings
        keywords["schedule"] = trial.schedule
        keywords["warmup_fraction"] = given.get("warmup_fraction", 0.0)
        keywords["settings"] = {name: given[name] for name in settings if name in given}
    controller: LearningRateController = resolve(kind.path)(optimizer, total_steps, **keywords)
    return AveragedWeights(controller) if _averages(trial) else controller


def _averages(trial: Trial) -> bool:
    return bool(trial.hyperparameters.get("averaging", False))
