"""The prior's file: the laws, and how they were found."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tune_metalr.metalr.meta_training.fit import (
    Fit,
    fit,
    mean_regret,
    regret_of,
    usual_regret,
)
from tune_metalr.metalr.meta_training.grid import AXES, USUAL, Outcome
from tune_metalr.metalr.meta_training.surface import Surface, surfaces
from tune_metalr.metalr.meta_training.task import Task
from tune_metalr.metalr.prior import Family, Prior

COMMAND = "python -m tune_metalr.metalr.meta_training --out DIR"

_SAME_RATE = (0.0,)
"""The exponents of a law whose rate does not depend on the horizon."""


def prior_file(
    outcomes: Sequence[Outcome], tasks: Iterable[Task], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return what `prior.json` holds, fitted to the grid's outcomes."""
    tasks = tuple(tasks)
    chance = {task.name: task.chance for task in tasks}
    task_families = {task.name: task.family for task in tasks}
    of_family = {
        family: surfaces(outcomes, family, chance=chance, task_families=task_families)
        for family in Family
    }
    fits = {family: fit(found, family) for family, found in of_family.items()}
    return {
        "families": {family.value: fits[family].law._asdict() for family in Family},
        "record": {
            "command": COMMAND,
            **environment,
            "seconds": round(sum(outcome.seconds for outcome in outcomes)),
            "runs": len(outcomes),
            "diverged_runs": sum(outcome.diverged for outcome in outcomes),
            "seeds": sorted({outcome.cell.seed for outcome in outcomes}),
            "tasks": {task.name: _described(task) for task in tasks},
            "regret": "(best - accuracy) / (best - chance), best: of the grid's settings",
            "fits": {
                family.value: _evidence(of_family[family], family, fits[family])
                for family in Family
            },
        },
    }


def write_prior(content: Mapping[str, Any], file: Path) -> None:
    """Write the prior's file, one number or short list a line."""
    file.write_text(json.dumps(content, indent=1) + "\n")


def _described(task: Task) -> dict[str, Any]:
    return {
        "family": task.family,
        "batch_size": task.batch_size,
        "horizons_steps": list(task.horizons_steps),
    }


def _evidence(found: list[Surface], family: Family, fitted: Fit) -> dict[str, Any]:
    single = fit(found, family, _SAME_RATE)
    evidence: dict[str, Any] = {
        "grid": {name: list(values) for name, values in AXES[family]._asdict().items()},
        "mean_regret": _rounded(fitted.mean_regret),
        "best_single_rate": _told(single.law) | {"mean_regret": _rounded(single.mean_regret)},
        "left_out": _left_out(found, family),
        "surfaces": [_of_surface(surface, fitted.law) for surface in found],
    }
    if family is Family.ADAM:
        evidence["adamw_constant"] = {
            "rate": USUAL.rate,
            "weight_decay": USUAL.weight_decay,
            "mean_regret": _rounded(usual_regret(found)),
        }
    return evidence


def _left_out(found: list[Surface], family: Family) -> dict[str, Any]:
    """Return, for each family of tasks, the law that the others give, and what it loses there."""
    told = {}
    for name in sorted({surface.task_family for surface in found}):
        others = [surface for surface in found if surface.task_family != name]
        left = [surface for surface in found if surface.task_family == name]
        if others:
            law = fit(others, family).law
            single = fit(others, family, _SAME_RATE).law
            told[name] = _told(law) | {
                "regret_there": _rounded(mean_regret(left, law)),
                "single_rate_regret_there": _rounded(mean_regret(left, single)),
            }
            if family is Family.ADAM:
                told[name]["adamw_constant_regret_there"] = _rounded(usual_regret(left))
    return told


def _of_surface(surface: Surface, law: Prior) -> dict[str, Any]:
    return {
        "task": surface.task,
        "steps": surface.steps,
        "best_accuracy": _rounded(surface.best),
        "regret": _rounded(regret_of(surface, law)),
        "seed_deviation": _rounded(surface.seed_deviation),
    }


def _told(law: Prior) -> dict[str, Any]:
    return law._asdict()


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
