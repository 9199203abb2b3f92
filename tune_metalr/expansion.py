"""From a study to its trials, deterministically."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tune_metalr.errors import UserError
from tune_metalr.methods import method_revision
from tune_metalr.search import Search
from tune_metalr.space import Point
from tune_metalr.study import MethodChoice, Study, WorkloadChoice, method_name
from tune_metalr.trial import Role, Trial, WantedTrial
from tune_metalr.workloads import ReadyWorkload


def expand(study: Study, ready: Mapping[str, ReadyWorkload]) -> list[WantedTrial]:
    """Return the study's untuned trials: everything's first seed, then everything's second.

    So a part of them is balanced, and methods come in the study's order.

    Args:
        study: The choices.
        ready: The study's workloads, by name.

    Raises:
        UserError: Two methods are the same, so that their comparison means nothing.
    """
    runs = [
        (workload, name, choice, study.seeds_of(workload, choice))
        for workload in study.workloads
        for name, choice in study.methods.items()
    ]
    wanted = [
        WantedTrial(
            trial=_trial(
                study, workload, ready[workload.name], method=choice, lr=lr, seed=seeds[place]
            ),
            role=Role.BASELINE,
            method=method_name(name, choice, lr),
            target_accuracy=ready[workload.name].workload.target_accuracy,
        )
        for place in range(max((len(seeds) for *_, seeds in runs), default=0))
        for workload, name, choice, seeds in runs
        if place < len(seeds)
        for lr in choice.lr
    ]
    _refuse_twins(wanted)
    return wanted


def expand_searches(study: Study, ready: Mapping[str, ReadyWorkload]) -> list[Search]:
    """Return the study's searches: every workload, sampler and repeat of each entry.

    Args:
        study: The choices.
        ready: The study's workloads, by name.
    """
    return [
        _search(study, workload, ready[workload.name], name=name, sampler=sampler, repeat=repeat)
        for repeat in range(max((choice.repeats for choice in study.searches.values()), default=0))
        for workload in study.workloads
        for name, choice in study.searches.items()
        for sampler in choice.samplers
        if repeat < choice.repeats
    ]


def _search(
    study: Study,
    workload: WorkloadChoice,
    ready: ReadyWorkload,
    *,
    name: str,
    sampler: str,
    repeat: int,
) -> Search:
    choice = study.searches[name]

    def make_trial(point: Point) -> Trial:
        method = choice.method(point)
        return _trial(study, workload, ready, method=method, lr=method.lr[0], seed=0)

    trials = choice.num_trials(sampler)
    return Search(
        name=name,
        workload=workload.name,
        sampler=sampler,
        pruner=choice.pruner,
        repeat=repeat,
        space=choice.axes(),
        grid=choice.grid_points(),
        trials=trials,
        batch=choice.batch,
        finals=min(choice.finals, trials),
        seeds=study.seeds_of(workload, choice),
        epochs=workload.epochs or study.epochs,
        chance=1 / (ready.workload.source.num_classes or 2),
        target_accuracy=ready.workload.target_accuracy,
        make_trial=make_trial,
    )


def _trial(
    study: Study,
    choice: WorkloadChoice,
    ready: ReadyWorkload,
    *,
    method: MethodChoice,
    lr: float,
    seed: int,
) -> Trial:
    return Trial(
        workload=ready.workload.name,
        workload_settings=ready.workload.settings(),
        data_version=ready.data_version,
        optimizer=method.optimizer,
        schedule=method.schedule,
        controller=method.controller,
        hyperparameters=_hyperparameters(method, lr),
        method_revision=method_revision(
            method.optimizer, method.schedule, method.controller, averaging=method.averaging
        ),
        seed=seed,
        epochs=choice.epochs or study.epochs,
        batch_size=study.batch_size,
        train_examples=choice.train_examples,
        precision=study.precision,
        threads=study.threads_per_trial,
        device=study.resources.device,
    )


def _hyperparameters(method: MethodChoice, lr: float) -> dict[str, Any]:
    """Return every number of the method; what is left to the optimizer's default is left out."""
    settings = {
        "lr": lr,
        "warmup_fraction": method.warmup_fraction,
        "weight_decay": method.weight_decay,
        "clip_norm": method.clip_norm,
        # Left out when off, so that such a trial is the same as one that says nothing.
        "averaging": method.averaging or None,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return given | method.schedule_settings() | method.keywords()


def _refuse_twins(wanted: list[WantedTrial]) -> None:
    firsts: dict[tuple[str, str], WantedTrial] = {}
    for item in wanted:
        firsts.setdefault((item.trial.workload, item.method), item)
    names: dict[str, str] = {}
    for item in firsts.values():
        apart_from_seeds = dataclasses.replace(item.trial, seed=0)
        first = names.setdefault(apart_from_seeds.trial_id, item.method)
        if first != item.method:
            raise UserError(f"methods '{first}' and '{item.method}' are the same; remove one")
