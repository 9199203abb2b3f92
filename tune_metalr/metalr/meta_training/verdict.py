"""Whether a residual pays, and the record of how that was found."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.early import Target, View, cases, predict_left_out
from tune_metalr.metalr.meta_training.fit import Fitting
from tune_metalr.metalr.meta_training.gate import Gate, gates
from tune_metalr.metalr.meta_training.grid import Outcome
from tune_metalr.metalr.meta_training.imagined import POINT, Imagined, imagined_runs
from tune_metalr.metalr.meta_training.learn import (
    Learned,
    LeftOut,
    Parts,
    learn_residual,
    left_out,
)
from tune_metalr.metalr.meta_training.looks import runs_like
from tune_metalr.metalr.meta_training.surface import Surface, about, surfaces
from tune_metalr.metalr.meta_training.task import Task
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.metalr.residual import Residual

_JUDGES = ("textures", "keywords")
"""A convolutional and a recurrent family: what users train looks like one of them."""

_CONFIDENCE = 0.95
_CURVE_STEP = 10


class Gain(NamedTuple):
    """The mean regret that is saved on left-out families, with its interval over families."""

    mean: float
    low: float
    high: float

    @property
    def pays(self) -> bool:
        """Whether it is above 0 for certain."""
        return self.low > 0


class Known(NamedTuple):
    """What the grid says of some families of tasks, with one family of optimizers."""

    family: Family
    task_families: Mapping[str, str]
    outcomes: list[Outcome]
    surfaces: list[Surface]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], tasks: Iterable[Task], family: Family) -> "Known":
        """Return what is known of tasks."""
        tasks = tuple(tasks)
        task_families = {task.name: task.family for task in tasks}
        of_tasks = [outcome for outcome in outcomes if outcome.cell.task in task_families]
        found = surfaces(of_tasks, family, about=about(tasks))
        return cls(family, task_families, of_tasks, found)

    def without(self, task_family: str) -> "Known":
        """Return what is known of the other families of tasks."""
        return self._only(set(self.task_families.values()) - {task_family})

    def of_family(self, task_family: str) -> "Known":
        """Return what is known of one family of tasks."""
        return self._only({task_family})

    def _only(self, families: set[str]) -> "Known":
        kept = {task: name for task, name in self.task_families.items() if name in families}
        return Known(
            self.family,
            kept,
            [outcome for outcome in self.outcomes if outcome.cell.task in kept],
            [surface for surface in self.surfaces if surface.task in kept],
        )

    @property
    def surface_of(self) -> dict[str, Surface]:
        """The grid's surfaces, by the task's name."""
        return {surface.task: surface for surface in self.surfaces}

    def runs(self, law: Prior) -> list[Imagined]:
        """Return the runs that can be imagined around a law."""
        return imagined_runs(self.outcomes, self.surfaces, self.family, law)


class Verdict(NamedTuple):
    """What was found of one family of optimizers."""

    gates: list[Gate]
    predictions: list[dict[str, Any]]
    left_out: list[LeftOut]
    gain: Gain
    residual: Residual | None
    """Learned on all families; `None` where it does not pay."""
    curve: list[float]
    """Of the objective by which that one was learned."""

    @property
    def is_judged(self) -> bool:
        """Whether anything could be told: features of a single seed cannot be told from luck."""
        return any(gate.clearness for gate in self.gates)


def judge(known: Known, law: Prior, *, seed: int = 0) -> Verdict:
    """Gate the features, learn without each family in turn, and say whether it pays there.

    Args:
        known: What the grid says of all tasks.
        law: The prior that the residual is to correct; without a family, it is fitted anew.
        seed: Of learning.
    """
    passed, learned = _learned(known, law, seed=seed)
    apart = []
    fitting = Fitting(known.surfaces, known.family)
    for name in sorted(set(known.task_families.values())):
        others, left = known.without(name), known.of_family(name)
        without = fitting.fit_what_transfers(without=name).law
        passed_there, there = _learned(others, without, seed=seed)
        parts = Parts(without, passed_there, there.residual)
        apart.append(left_out(name, left.runs(without), parts))
    gain = gain_of(apart)
    return Verdict(
        gates=_gates(known, law),
        predictions=_predictions(known, apart),
        left_out=apart,
        gain=gain,
        residual=learned.residual if gain.pays and passed else None,
        curve=learned.curve,
    )


def gain_of(apart: Sequence[LeftOut]) -> Gain:
    """Return the mean over families, with a t interval: tasks of one family resemble each other."""
    return interval([one.gain for one in apart])


def interval(values: Sequence[float]) -> Gain:
    """Return a mean with its t interval."""
    gains = np.array(values)
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    reach = float(scipy.stats.t.ppf((1 + _CONFIDENCE) / 2, len(gains) - 1)) * error
    mean = float(gains.mean())
    return Gain(mean, mean - reach, mean + reach)


def described(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON has it; null stands for what could not be judged."""
    return {
        "gates": {
            gate.feature: {
                "passes": gate.passes if gate.clearness else None,
                "clearness": {kind: rounded(value) for kind, value in gate.clearness.items()},
                "range": [rounded(gate.lowest), rounded(gate.highest)],
            }
            for gate in verdict.gates
        },
        "predictions": verdict.predictions,
        "left_out": {
            one.task_family: {
                "prior_regret": rounded(float(np.mean(one.prior_regrets))),
                "residual_regret": rounded(float(np.mean(one.residual_regrets))),
            }
            for one in verdict.left_out
        },
        "gain": [rounded(value) for value in verdict.gain] if verdict.is_judged else None,
        "curve": [rounded(value) for value in verdict.curve[::_CURVE_STEP]],
        "pays": verdict.gain.pays if verdict.is_judged else None,
    }


def rounded(value: float) -> float | None:
    """Return a number as records have it; `None` for what is no number, which JSON has not."""
    return round(value, 4) if math.isfinite(value) else None


def _learned(known: Known, law: Prior, *, seed: int) -> tuple[tuple[str, ...], Learned]:
    """Gate the features, and learn the residual of a law from those that pass."""
    passed = tuple(gate.feature for gate in _gates(known, law) if gate.passes)
    return passed, learn_residual(known.runs(law), law, passed, seed=seed)


def _gates(known: Known, law: Prior) -> list[Gate]:
    present = set(known.task_families.values())
    return gates(
        runs_like(known.outcomes, known.family, law),
        known.family,
        point=POINT,
        task_families=known.task_families,
        judges=[judge for judge in _JUDGES if judge in present],
    )


def _predictions(known: Known, apart: Sequence[LeftOut]) -> list[dict[str, Any]]:
    """Return how well the best setting is told by the horizon, each feature, all that passed."""
    views = {}
    for left in apart:
        law = left.parts.law
        found = cases(known.surfaces, known.outcomes, known.family, law, point=POINT)
        views[left.task_family] = View(law, left.parts.features, found)
    groups: dict[str, tuple[str, ...] | None] = {"horizon": ()}
    groups |= {f"horizon, {name}": (name,) for name in Features._fields}
    groups["horizon, all that passed"] = None
    told = []
    for target in Target:
        for inputs, features in groups.items():
            found_there = predict_left_out(views, features=features, target=target)
            numbers = {name: rounded(value) for name, value in found_there._asdict().items()}
            told.append({"target": target.value, "inputs": inputs} | numbers)
    return told
