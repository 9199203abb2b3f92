"""The prior's file: the laws, and how they were found."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tune_metalr.errors import UserError
from tune_metalr.metalr.meta_training.fit import (
    ALL,
    SAME_RATE,
    WITHOUT_WIDTH,
    Fit,
    Fitting,
    mean_regret,
    regret_of,
    usual_regret,
)
from tune_metalr.metalr.meta_training.grid import AXES, CONSTANT, USUAL, Outcome
from tune_metalr.metalr.meta_training.surface import Surface, about, surfaces
from tune_metalr.metalr.meta_training.task import Task, width
from tune_metalr.metalr.meta_training.trial_of_laws import Trial
from tune_metalr.metalr.meta_training.verdict import interval, rounded
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
    content = {
        "families": {family.value: fits[family].law._asdict() for family in Family},
        "residuals": {},
        "record": {
            **origin,
            "seconds": 0,
            "seconds_of": {},
            "runs": len(outcomes),
            "diverged_runs": sum(outcome.diverged for outcome in outcomes),
            "seeds": sorted({outcome.cell.seed for outcome in outcomes}),
            "tasks": {task.name: _described(task) for task in tasks},
            "regret": "(best - score) / (best - chance), best: of the grid's settings",
            "fits": {
                family.value: {"grid": _tried(outcomes, family)}
                | _evidence(of_family[family], family, fittings[family], fits[family])
                for family in Family
            },
        },
    }
    return with_cost(content, "grid", sum(outcome.seconds for outcome in outcomes))


class Refining(NamedTuple):
    """What refining a law has given."""

    law: Prior
    """The refined one."""
    curve: list[float]
    """The mean regret of each generation's candidates; its tasks are others each time."""
    trial: Trial
    """Of both laws."""


def with_refined(content: Mapping[str, Any], family: Family, refining: Refining) -> dict[str, Any]:
    """Return a prior's content with what refining has given; its law stands where it pays."""
    trial = refining.trial
    told = {
        "law": _told(refining.law),
        "pays": trial.pays,
        "curve": [rounded(regret) for regret in refining.curve],
    }
    if trial.gain is not None:
        told["gain"] = [rounded(value) for value in trial.gain]
    families = content["families"] | ({family.value: told["law"]} if trial.pays else {})
    record = content["record"]
    fits = record["fits"] | {family.value: record["fits"][family.value] | {"refined": told}}
    return {**content, "families": families, "record": record | {"fits": fits}}


def with_cost(content: Mapping[str, Any], stage: str, seconds: float) -> dict[str, Any]:
    """Return a prior's content with the CPU-seconds that one more stage has taken so far."""
    record = content["record"]
    seconds_of = record["seconds_of"] | {stage: round(seconds)}
    cost = {"seconds": sum(seconds_of.values()), "seconds_of": seconds_of}
    return {**content, "record": record | cost}


def with_residual(content: Mapping[str, Any], family: Family, digest: str) -> dict[str, Any]:
    """Return a prior's content that names the file of a residual by its SHA-256."""
    return {**content, "residuals": content["residuals"] | {family.value: digest}}


def laws_of(file: Path) -> dict[Family, Prior]:
    """Return the laws of a prior's file.

    Raises:
        UserError: It is none.
    """
    try:
        families = json.loads(file.read_text(encoding="utf-8"))["families"]
        return {family: Prior(**families[family]) for family in Family}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not the prior.json of a training: {error}") from None


def _tried(outcomes: Iterable[Outcome], family: Family) -> dict[str, list[float]]:
    """Return the values that were tried; that it is these, and not others, bounds the law."""
    cells = [
        outcome.cell
        for outcome in outcomes
        if outcome.cell.family == family and outcome.cell.warmup_fraction != CONSTANT
    ]
    return {
        "rates": sorted({cell.rate for cell in cells}),
        "warmup_fractions": sorted({cell.warmup_fraction for cell in cells}),
        "weight_decays": sorted({cell.weight_decay for cell in cells}),
        "rates_of_other_weight_decays": sorted(
            {cell.rate for cell in cells if cell.weight_decay != AXES[family].weight_decays[0]}
        ),
    }


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
    left_out = _left_out(found, family, fitting)
    evidence: dict[str, Any] = {
        "mean_regret": rounded(fitted.mean_regret),
        "law": _told(fitted.law),
        "best_single_rate": _told(single.law) | {"mean_regret": rounded(single.mean_regret)},
        "with_width": _told(wide.law) | {"mean_regret": rounded(wide.mean_regret)},
        "without_width": _told(narrow.law) | {"mean_regret": rounded(narrow.mean_regret)},
        "has_width": fitted.exponents == ALL,
        "left_out": left_out,
        "width_saves": _width_saves(left_out),
        "tasks_best_at_an_edge": [one.task for one in found if one.is_at_an_edge],
        "surfaces": [_of_surface(surface, fitted.law) for surface in found],
    }
    if family is Family.ADAM:
        evidence["adamw_constant"] = {
            "rate": USUAL.rate,
            "weight_decay": USUAL.weight_decay,
            "mean_regret": rounded(usual_regret(found)),
        }
    return evidence


def _width_saves(left_out: Mapping[str, Any]) -> list[float | None] | None:
    """Return the mean regret that a power of the width saves there, with its 95 % interval."""
    saved = [
        one["without_width_regret_there"] - one["with_width_regret_there"]
        for one in left_out.values()
    ]
    return [rounded(value) for value in interval(saved)] if len(saved) > 1 else None


def _left_out(found: list[Surface], family: Family, fitting: Fitting) -> dict[str, Any]:
    """Return, for each family of tasks, the law that the others give, and what it loses there.

    Whether that law looks at the width is chosen without the family too.
    """
    told = {}
    for name in sorted({surface.task_family for surface in found}):
        left = [surface for surface in found if surface.task_family == name]
        if len(left) < len(found):
            law = fitting.fit_what_transfers(without=name).law
            single, narrow, wide = (
                fitting.fit(which, without=(name,)).law for which in (SAME_RATE, WITHOUT_WIDTH, ALL)
            )
            told[name] = _told(law) | {
                "regret_there": rounded(mean_regret(left, law)),
                "with_width_regret_there": rounded(mean_regret(left, wide)),
                "without_width_regret_there": rounded(mean_regret(left, narrow)),
                "single_rate_regret_there": rounded(mean_regret(left, single)),
            }
            if family is Family.ADAM:
                told[name]["adamw_constant_regret_there"] = rounded(usual_regret(left))
    return told


def _of_surface(surface: Surface, law: Prior) -> dict[str, Any]:
    return {
        "task": surface.task,
        "steps": surface.steps,
        "best_score": rounded(surface.best),
        "best_rate": surface.best_rate,
        "regret": rounded(regret_of(surface, law)),
        "seed_deviation": rounded(surface.seed_deviation),
    }


def _told(law: Prior) -> dict[str, Any]:
    return law._asdict()
