"""Simulated searches of known quality: what is said about tuning budgets."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analysis.arrays import FloatArray
from analysis.bands import simultaneous_band
from analysis.best_of_n import expected_selected
from analysis.budgets import Curve, constant_curve, independent_curve, repeated_curve
from analysis.costs import independent_cost_curve, repeated_cost_curve
from analysis.matching import NEVER, budget_to_match

Draw = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]

_FLOOR = 0.1
_SEEDS = 10
_SEED_SPREAD = 0.008


class SearchModel(NamedTuple):
    """What a random search draws: the quality of a configuration, and the luck of a seed."""

    quality: Draw
    """Expected accuracy of a configuration; 0.1 is a run that diverged."""

    def trials(
        self, rng: np.random.Generator, size: tuple[int, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """Return validation (-1 where diverged) and test scores of trials."""
        quality = self.quality(rng, size)
        validation, test = _runs(quality, rng)
        diverged = quality <= _FLOOR
        return np.where(diverged, -1.0, validation), np.where(diverged, _FLOOR, test)


def _bowl(rng: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
    """Return accuracies over four decades of rate: a bowl that ends at a cliff."""
    rate = 4 * rng.random(size)
    quality = np.maximum(0.6 - 0.08 * (rate - 2) ** 2, 0.1)
    return np.where(rate > 3.3, 0.1, quality)


def _two_rates(rng: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
    """Return accuracies over rate and weight decay."""
    rate, decay = 4 * rng.random(size), 3 * rng.random(size)
    quality = 0.62 - 0.1 * (rate - 2.2) ** 2 - 0.05 * (decay - 1) ** 2
    return np.where(rate > 3.4, 0.1, np.maximum(quality, 0.1))


def _rarely_good(share: float) -> Draw:
    """Return a space in which all but a small part diverges."""

    def quality(rng: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
        return np.where(rng.random(size) < share, rng.uniform(0.5, 0.6, size), _FLOOR)

    return quality


def _runs(quality: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return validation and test scores of one run each."""
    size = quality.shape
    seed = rng.normal(0, 0.006, size)  # shared by validation and test
    validation = quality + seed + rng.normal(0, 0.005, size)
    return validation, quality + seed + rng.normal(0, 0.005, size)


SEARCH_MODELS: dict[str, SearchModel] = {
    "rate, with a cliff": SearchModel(_bowl),
    "rate x weight decay": SearchModel(_two_rates),
    "beta(4, 2)": SearchModel(lambda rng, size: rng.beta(4, 2, size)),
    "one in five succeeds": SearchModel(_rarely_good(0.2)),
    "one in twenty succeeds": SearchModel(_rarely_good(0.05)),
}


class Design(NamedTuple):
    """How a simulated baseline is tuned."""

    trials: int
    """Of a search."""
    repeats: int | None = None
    """Of an adaptive search; `None` for one search of independent trials."""
    unequal_costs: bool = False
    """Whether the axis is cost, which scatters by 30 % around 1 a trial."""

    @property
    def longest(self) -> int:
        """The largest budget that the search supports."""
        return self.trials if self.repeats else self.trials // 4


class BudgetCoverage(NamedTuple):
    """How often a statement about a tuning budget was true."""

    interval: float
    """The true budget lies in the 95 % interval."""
    more_than: float
    """'Needs more than N trials', at 95 % one-sided, was true or not claimed."""
    band: float
    """The simultaneous band held the whole true curve."""


def budget_coverage(
    model: str, design: Design, true_budget: float, *, studies: int, rng: np.random.Generator
) -> BudgetCoverage:
    """Return how often what is said about a budget is true.

    Args:
        model: One of `SEARCH_MODELS`.
        design: Of the search.
        true_budget: At which the expected score reaches the untuned method's, in trials or mean
            costs of a trial; or `NEVER`.
        studies: To simulate, each with 10 untuned seeds.
        rng: For everything.
    """
    search = SEARCH_MODELS[model]
    truth = _true_curve(search, design, rng)
    level = _level(truth, true_budget)
    counts = np.zeros(3)
    for _ in range(studies):
        curve = _drawn_curve(search, design, rng)
        untuned = constant_curve(rng.normal(level, _SEED_SPREAD, _SEEDS), curve.budgets)
        match = budget_to_match(curve, untuned).times(1 / curve.budgets[0])
        low, high = simultaneous_band(curve, rng)
        counts += (
            match.low <= true_budget * (1 + 1e-9) and true_budget <= match.high * (1 + 1e-9),
            match.more_than < true_budget * (1 - 1e-9),
            bool(np.all((low <= truth) & (truth <= high))),
        )
    return BudgetCoverage(*(float(share) for share in counts / studies))


def deployed_coverage(
    model: str, trials: int, true_budget: float, *, studies: int, rng: np.random.Generator
) -> float:
    """Return how often the interval for the model that is deployed holds the true budget.

    Both sides keep the best of n by validation: of n trials of a random search, or of n restarts
    of the untuned method.

    Args:
        model: One of `SEARCH_MODELS`.
        trials: Of a search.
        true_budget: At most 5, half of the 10 untuned seeds; or `NEVER`.
        studies: To simulate.
        rng: For everything.
    """
    search, longest = SEARCH_MODELS[model], _SEEDS // 2
    budgets = np.arange(1.0, longest + 1)
    gain = expected_selected(*_runs(np.zeros(400_000), rng), budgets)
    truth = expected_selected(*search.trials(rng, (400_000,)), budgets) - gain
    level = _level(np.maximum.accumulate(truth), true_budget)
    held = 0
    for _ in range(studies):
        curve = independent_curve(*search.trials(rng, (trials,)), max_budget=longest)
        restarts = independent_curve(*_runs(np.full(_SEEDS, level), rng), max_budget=longest)
        match = budget_to_match(curve, restarts)
        held += match.low <= true_budget <= match.high
    return held / studies


def _true_curve(search: SearchModel, design: Design, rng: np.random.Generator) -> FloatArray:
    if not design.unequal_costs:
        budgets = np.arange(1.0, design.longest + 1)
        return expected_selected(*search.trials(rng, (400_000,)), budgets)
    shape = (20_000, design.trials)
    drawn = search.trials(rng, shape)
    curve = repeated_cost_curve(*drawn, _costs(rng, shape), floor=_FLOOR)
    return curve.score[: design.longest]


def _drawn_curve(search: SearchModel, design: Design, rng: np.random.Generator) -> Curve:
    if design.repeats:
        shape = (design.repeats, design.trials)
        drawn = search.trials(rng, shape)
        if design.unequal_costs:
            return repeated_cost_curve(*drawn, _costs(rng, shape), floor=_FLOOR)
        return repeated_curve(*drawn)
    drawn = search.trials(rng, (design.trials,))
    if design.unequal_costs:
        return independent_cost_curve(*drawn, _costs(rng, (design.trials,)), rng, floor=_FLOOR)
    return independent_curve(*drawn)


def _costs(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return rng.lognormal(-(0.3**2) / 2, 0.3, shape)


def _level(truth: FloatArray, true_budget: float) -> float:
    """Return an untuned score that the true curve first reaches at `true_budget`."""
    if true_budget == NEVER:
        return float(truth.max()) + 0.004
    place = int(true_budget) - 1
    before = truth[place - 1] if place else truth[0] - 0.01
    return float(truth[place] + before) / 2
