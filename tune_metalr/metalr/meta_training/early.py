"""Supervised: can the best setting be told from what is known before training, and early in it?

For each task at its horizon the grid knows the best rate, warm-up and weight decay. A ridge
regression predicts how far each is from the prior's, from the horizon, or from the horizon and the
features that a run at the prior's rate shows at one point of its course. Each family of tasks is
predicted by the others. What counts is the regret at the predicted value, read off the grid: as if
the run had had it from the beginning.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.fit import SPREAD
from tune_metalr.metalr.meta_training.gate import features_at
from tune_metalr.metalr.meta_training.grid import AXES, Outcome
from tune_metalr.metalr.meta_training.looks import runs_like
from tune_metalr.metalr.meta_training.surface import Array, Surface
from tune_metalr.metalr.prior import Family, Prior

_RATES_PER_FACTOR_10 = 60
_LARGEST_MOVE = math.log(4.0)


_LEAST_DECAY = 1e-4
"""Added to decays before their log is taken."""


class Target(StrEnum):
    """What is predicted."""

    RATE = "rate"
    WARMUP_FRACTION = "warmup_fraction"
    WEIGHT_DECAY = "weight_decay"


class Case(NamedTuple):
    """A task at its horizon, with what a run at the prior's rate shows of it."""

    surface: Surface
    family: Family
    moves: Mapping[Target, float]
    """From the prior to the best: of log rate and log decay, and of the warm-up's fraction. None
    where the grid has tried one value alone."""
    features: Array
    """NaN where the look says nothing."""


class View(NamedTuple):
    """All tasks, as they look from what was learned without one family of them."""

    law: Prior
    passed: tuple[str, ...]
    """The features that passed the gate there."""
    cases: list[Case]


class Prediction(NamedTuple):
    """How well left-out families are predicted."""

    explained: float
    """Share of the variance of the best moves, over all left-out tasks: R2, at most 1. NaN where
    the prior's value is best everywhere."""
    regret: float
    """Mean, where the prior is moved as predicted."""


def best_rate(surface: Surface, law: Prior) -> float:
    """Return the rate whose neighbours, too, do well: the top of a noisy curve is luck."""
    low, high = surface.base.log_rates[[0, -1]] / math.log(10)
    rates = np.logspace(low, high, 1 + round((high - low) * _RATES_PER_FACTOR_10))
    near = rates[:, None] * np.array(SPREAD)
    regrets = surface.regret(near, law.warmup_fraction, law.weight_decay).mean(axis=1)
    return float(rates[int(regrets.argmin())])


def cases(
    surfaces: Iterable[Surface],
    outcomes: Sequence[Outcome],
    family: Family,
    law: Prior,
    *,
    point: int,
) -> list[Case]:
    """Return a case for each task; features are those of the grid's rates around the prior's."""
    alike = runs_like(outcomes, family, law)
    return [
        Case(
            surface,
            family,
            moves={
                target: _best_move(surface, family, law, target)
                for target in Target
                if target is Target.RATE or len(_tried(surface, family, target)) > 1
            },
            features=_features_near(surface.task, alike, surface.peak_rate(law), point),
        )
        for surface in surfaces
    ]


def predict_left_out(
    views: Mapping[str, View],
    *,
    features: Sequence[str] | None,
    target: Target = Target.RATE,
    ridge: float = 1.0,
) -> Prediction:
    """Predict each family by the others: how far the best is from the prior's.

    Args:
        views: For each family, what was learned without it.
        features: Those that are given to the regression beside the horizon; `None`: those that
            passed the gate without the family.
        target: What is predicted.
        ridge: Penalty on the square of each standardised coefficient, in cases.
    """
    wanted: list[float] = []
    moves: list[float] = []
    regrets: list[float] = []
    for name, view in views.items():
        known = [case for case in view.cases if target in case.moves]
        left = [case for case in known if case.surface.task_family == name]
        others = [case for case in known if case.surface.task_family != name]
        if not left or not others:
            continue
        given = view.passed if features is None else features
        moved = _predicted(others, left, given, target, ridge)
        wanted += [case.moves[target] for case in left]
        moves += moved
        pairs = zip(left, moved, strict=True)
        regrets += [regret_at(case, view.law, move, target) for case, move in pairs]
    unexplained = float(np.square(np.subtract(wanted, moves)).sum())
    spread = float(np.square(np.subtract(wanted, np.mean(wanted))).sum())
    return Prediction(
        explained=1 - unexplained / spread if spread else math.nan,
        regret=float(np.mean(regrets)),
    )


def _predicted(
    others: Sequence[Case],
    left: Sequence[Case],
    features: Sequence[str],
    target: Target,
    ridge: float,
) -> list[float]:
    places = [Features._fields.index(name) for name in features]

    def inputs(some: Sequence[Case]) -> Array:
        return np.array([[math.log(c.surface.steps / 1000), *c.features[places]] for c in some])

    wanted = np.array([case.moves[target] for case in others])
    moves = _ridge(inputs(others), wanted, inputs(left), ridge)
    if target is Target.RATE:
        moves = np.clip(moves, -_LARGEST_MOVE, _LARGEST_MOVE)
    found: list[float] = moves.tolist()
    return found


def regret_at(case: Case, law: Prior, move: float, target: Target = Target.RATE) -> float:
    """Return the regret where one value of the prior is moved.

    Warm-up and decay go to the nearest value that the grid has tried: of others nothing is known.
    """
    surface = case.surface
    rate = surface.peak_rate(law)
    if target is Target.RATE:
        rate *= math.exp(move)
    else:
        wanted = _place(law, target) + move
        tried = [_with(law, target, value) for value in _tried(surface, case.family, target)]
        law = min(tried, key=lambda one: abs(_place(one, target) - wanted))
    regret = surface.regret(np.array([rate]), law.warmup_fraction, law.weight_decay)[0]
    return float(min(regret, 1.0))


def _best_move(surface: Surface, family: Family, law: Prior, target: Target) -> float:
    peak = surface.peak_rate(law)
    if target is Target.RATE:
        return math.log(best_rate(surface, law) / peak)
    near = peak * np.array(SPREAD)
    best = min(
        (_with(law, target, value) for value in _tried(surface, family, target)),
        key=lambda one: float(surface.regret(near, one.warmup_fraction, one.weight_decay).mean()),
    )
    return _place(best, target) - _place(law, target)


def _tried(surface: Surface, family: Family, target: Target) -> list[float]:
    """Return the values that the grid has tried on this task."""
    axes = AXES[family]
    if target is Target.WEIGHT_DECAY:
        return [axes.weight_decays[0], *surface.decay_gains]
    return [axes.warmup_fractions[0], *surface.warmup_gains]


def _with(law: Prior, target: Target, value: float) -> Prior:
    if target is Target.WEIGHT_DECAY:
        return law._replace(weight_decay=value)
    return law._replace(warmup_fraction=value)


def _place(law: Prior, target: Target) -> float:
    """Return where a law is on the axis that is predicted."""
    if target is Target.WEIGHT_DECAY:
        return math.log(law.weight_decay + _LEAST_DECAY)
    return law.warmup_fraction


def _ridge(inputs: Array, wanted: Array, asked: Array, penalty: float) -> Array:
    """Return predictions of a ridge regression; what is not known counts as the mean."""
    means = np.nanmean(inputs, axis=0)
    scales = np.maximum(np.nanstd(inputs, axis=0), 1e-6)
    known, new = (np.nan_to_num((some - means) / scales) for some in (inputs, asked))
    # Beyond what was seen a straight line says anything.
    new = np.clip(new, known.min(axis=0), known.max(axis=0))
    squares = known.T @ known + penalty * np.eye(known.shape[1])
    slopes = np.linalg.solve(squares, known.T @ (wanted - wanted.mean()))
    predictions: Array = wanted.mean() + new @ slopes
    return predictions


def _features_near(task: str, alike: Sequence[Outcome], rate: float, point: int) -> Array:
    """Return features at a rate: means over seeds, straight between the grid's log rates."""
    by_rate: dict[float, list[Array]] = {}
    for outcome in alike:
        if outcome.cell.task == task and (seen := features_at(outcome, point)) is not None:
            by_rate.setdefault(outcome.cell.rate, []).append(seen)
    rates = sorted(by_rate)
    rows = np.array([np.mean(by_rate[rate], axis=0) for rate in rates])
    return np.array([np.interp(math.log(rate), np.log(rates), column) for column in rows.T])
