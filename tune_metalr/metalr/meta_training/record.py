"""The prior's file: the laws, and how they were found."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tune_metalr.metalr.meta_training.fit import (
    ALL,
    SAME_RATE,
    WITHOUT_WIDTH,
    Exponents,
    Fit,
    Fitting,
    exponents_of,
    mean_regret,
    regret_of,
    usual_regret,
)
from tune_metalr.metalr.meta_training.grid import AXES, USUAL, Outcome
from tune_metalr.metalr.meta_training.surface import Surface, about, surfaces
from tune_metalr.metalr.meta_training.task import Task, width
from tune_metalr.metalr.meta_training.trial_of_laws import Trial
from tune_metalr.metalr.prior import Family, Prior


def prior_file(
    outcomes: Sequence[Outcome], tasks: Iterable[Task], origin: Mapping[str, str]
) -> dict[str, Any]:
    """Return what `prior.json` holds, fitted to the grid's outcomes.

    Args:
        outcomes: Of the grid.
        tasks: That it was run on.
        origin: What the record tells of the command, the code and the machine.
    """
    tasks = tuple(tasks)
    known = about(tasks)
    of_family = {family: surfaces(outcomes, family, about=known) for family in Family}
    fittings = {family: Fitting(found, family) for family, found in of_family.items()}
    fits = {family: fitting.fit_what_transfers() for family, fitting in fittings.items()}
    return {
        "families": {family.value: fits[family].law._asdict() for family in Family},
        "record": {
            **origin,
            "seconds": round(sum(outcome.seconds for outcome in outcomes)),
            "runs": len(outcomes),
            "diverged_runs": sum(outcome.diverged for outcome in outcomes),
            "seeds": sorted({outcome.cell.seed for outcome in outcomes}),
            "tasks": {task.name: _described(task) for task in tasks},
            "regret": "(best - score) / (best - chance), best: of the grid's settings",
            "fits": {
                family.value: _evidence(of_family[family], family, fittings[family], fits[family])
                for family in Family
            },
        },
    }


class Refining(NamedTuple):
    """What refining a law has given."""

    law: Prior
    """The refined one."""
    curve: list[float]
    """The mean regret of each generation's candidates; its tasks are others each time."""
    trial: Trial
    """Of both laws."""
    seconds: float
    """Of all runs of search and trial: they are part of what training costs."""


def with_refined(content: Mapping[str, Any], family: Family, refining: Refining) -> dict[str, Any]:
    """Return a prior's content with what refining has given; its law stands where it pays."""
    trial = refining.trial
    told = {
        "law": _told(refining.law),
        "pays": trial.pays,
        "seconds": round(refining.seconds),
        "curve": [_rounded(regret) for regret in refining.curve],
    }
    if trial.gain is not None:
        told["gain"] = [_rounded(value) for value in trial.gain]
    families = content["families"] | ({family.value: told["law"]} if trial.pays else {})
    record = content["record"]
    fits = record["fits"] | {family.value: record["fits"][family.value] | {"refined": told}}
    refined = {"families": families, "record": record | {"fits": fits}}
    return with_cost(refined, refining.seconds)


def with_cost(content: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return a prior's content with more CPU-seconds of training."""
    record = content["record"]
    return {**content, "record": record | {"seconds": record["seconds"] + round(seconds)}}


def _described(task: Task) -> dict[str, Any]:
    return {
        "family": task.family,
        "batch_size": task.batch_size,
        "steps": task.steps,
        "width": round(width(task)),
        "initial_scale": float(f"{task.initial_scale:.3g}"),
        "loss_scale": float(f"{task.loss_scale:.3g}"),
    }


def _evidence(
    found: list[Surface], family: Family, fitting: Fitting, fitted: Fit
) -> dict[str, Any]:
    single, narrow, wide = map(fitting.fit, (SAME_RATE, WITHOUT_WIDTH, ALL))
    evidence: dict[str, Any] = {
        "grid": {name: list(values) for name, values in AXES[family]._asdict().items()},
        "mean_regret": _rounded(fitted.mean_regret),
        "law": _told(fitted.law),
        "best_single_rate": _told(single.law) | {"mean_regret": _rounded(single.mean_regret)},
        "with_width": _told(wide.law) | {"mean_regret": _rounded(wide.mean_regret)},
        "without_width": _told(narrow.law) | {"mean_regret": _rounded(narrow.mean_regret)},
        "left_out": _left_out(found, family, fitting, exponents_of(fitted.law)),
        "surfaces": [_of_surface(surface, fitted.law) for surface in found],
    }
    if family is Family.ADAM:
        evidence["adamw_constant"] = {
            "rate": USUAL.rate,
            "weight_decay": USUAL.weight_decay,
            "mean_regret": _rounded(usual_regret(found)),
        }
    return evidence


def _left_out(
    found: list[Surface], family: Family, fitting: Fitting, exponents: Exponents
) -> dict[str, Any]:
    """Return, for each family of tasks, the law that the others give, and what it loses there."""
    told = {}
    for name in sorted({surface.task_family for surface in found}):
        left = [surface for surface in found if surface.task_family == name]
        if len(left) < len(found):
            law = fitting.fit(exponents, without=name).law
            single, narrow, wide = (
                fitting.fit(which, without=name).law for which in (SAME_RATE, WITHOUT_WIDTH, ALL)
            )
            told[name] = _told(law) | {
                "regret_there": _rounded(mean_regret(left, law)),
                "with_width_regret_there": _rounded(mean_regret(left, wide)),
                "without_width_regret_there": _rounded(mean_regret(left, narrow)),
                "single_rate_regret_there": _rounded(mean_regret(left, single)),
            }
            if family is Family.ADAM:
                told[name]["adamw_constant_regret_there"] = _rounded(usual_regret(left))
    return told


def _of_surface(surface: Surface, law: Prior) -> dict[str, Any]:
    return {
        "task": surface.task,
        "steps": surface.steps,
        "best_score": _rounded(surface.best),
        "regret": _rounded(regret_of(surface, law)),
        "seed_deviation": _rounded(surface.seed_deviation),
    }


def _told(law: Prior) -> dict[str, Any]:
    return law._asdict()


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
