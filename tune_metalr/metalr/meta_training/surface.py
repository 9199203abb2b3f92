"""What the grid says of one task at one horizon: the regret of any setting within its range.

A regret is how much score a setting loses to the grid's best one, as a fraction of what there
is to win: (best - score) / (best - chance). In units of the seeds' deviation, of which two
seeds know little, the quietest task would decide the fit alone. The best of some twenty noisy means
flatters itself: that raises every setting's regret by one number, and moves no optimum. Where no
setting leaves chance far behind, there is hardly anything to win, and noise must not count as much.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tune_metalr.metalr.meta_training.grid import AXES, CONSTANT, Outcome
from tune_metalr.metalr.meta_training.run import Setting
from tune_metalr.metalr.meta_training.task import Task, width
from tune_metalr.metalr.prior import Family, Prior

_LEAST_TO_WIN = 0.2
"""Of the way from chance to 1."""

REGRET_CAP = 1.0
"""What ends at chance has failed, and cannot do worse."""

Array = np.ndarray[Any, np.dtype[np.float64]]


class Curve(NamedTuple):
    """A function of the log rate, straight between its points and level beyond them."""

    log_rates: Array
    values: Array

    def at(self, rates: Array) -> Array:
        """Return the values at rates of any shape."""
        return np.interp(np.log(rates), self.log_rates, self.values)


class About(NamedTuple):
    """What a fit has to know of a task."""

    family: str
    chance: float
    """The score of a guess."""
    width: float
    """Of its network."""


class Surface(NamedTuple):
    """A task at one horizon with one family."""

    task: str
    task_family: str
    steps: int
    width: float
    """Of the task's network."""
    base: Curve
    """Accuracy at the base's warm-up and decay."""
    warmup_gains: Mapping[float, Curve]
    """What another warm-up adds to the score, where the grid tried it."""
    decay_gains: Mapping[float, Curve]
    best: float
    chance: float
    seed_deviation: float
    """Of a score, from differences between seeds in every cell. NaN with one seed."""
    usual_score: float
    """Of AdamW as torch has it. NaN where it was not run."""

    def peak_rate(self, law: Prior) -> float:
        """Return the highest rate of a run here, as a law has it."""
        return law.peak_rate(self.steps, self.width)

    def regret(self, rates: Array, warmup_fraction: float, weight_decay: float) -> Array:
        """Return the regrets of rates. What warm-up and decay add are taken to sum up.

        Of a warm-up or a decay that the grid has not tried here nothing is known: the base's scores
        stand for it. At long horizons that holds for all decays but the base's.
        """
        score = self.base.at(rates)
        for gains, value in (
            (self.warmup_gains, warmup_fraction),
            (self.decay_gains, weight_decay),
        ):
            if value in gains:
                score = score + gains[value].at(rates)
        return (self.best - score) / self.to_win

    @property
    def best_rate(self) -> float:
        """Return the best of the tried rates, at the base's warm-up and decay."""
        return float(np.exp(self.base.log_rates[self.base.values.argmax()]))

    @property
    def is_at_an_edge(self) -> bool:
        """Whether it is the lowest or highest one: the best of all may lie outside."""
        return self.base.values.argmax() in (0, len(self.base.values) - 1)

    @property
    def to_win(self) -> float:
        """Return the score that a regret of 1 loses."""
        return max(self.best - self.chance, _LEAST_TO_WIN * (1 - self.chance))

    @property
    def usual_regret(self) -> float:
        """Return the regret of AdamW as torch has it."""
        return (self.best - self.usual_score) / self.to_win


def about(tasks: Iterable[Task]) -> dict[str, About]:
    """Return what a fit has to know of each task, by its name."""
    return {task.name: About(task.family, task.chance, width(task)) for task in tasks}


Means = Mapping[Setting, float]


def surfaces(
    outcomes: Iterable[Outcome],
    family: Family,
    *,
    about: Mapping[str, "About"],
) -> list[Surface]:
    """Return a surface for each task and horizon that the outcomes hold.

    Args:
        outcomes: Of the grid.
        family: Of optimizers.
        about: What is known of each task, by its name.
    """
    groups: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.cell.family == family:
            groups[outcome.cell.task, outcome.cell.steps].append(outcome)
    return [
        _surface(task, about[task], steps, _complete(group), family)
        for (task, steps), group in sorted(groups.items())
    ]


def _complete(group: list[Outcome]) -> dict[Setting, list[float]]:
    """Return the accuracies of each setting over the seeds that have all settings.

    A seed that time cut short would tilt the curve to its own luck.
    """
    by_seed: dict[int, dict[Setting, float]] = defaultdict(dict)
    for (_, _, _, *setting, seed), score, *_ in group:
        by_seed[seed][Setting(*setting)] = score
    most = max(len(cells) for cells in by_seed.values())
    complete = [cells for cells in by_seed.values() if len(cells) == most]
    return {setting: [cells[setting] for cells in complete] for setting in complete[0]}


def _surface(
    task: str,
    about: About,
    steps: int,
    accuracies: dict[Setting, list[float]],
    family: Family,
) -> Surface:
    means = {setting: float(np.mean(values)) for setting, values in accuracies.items()}
    within = {setting: mean for setting, mean in means.items() if setting[1] != CONSTANT}
    usual = [mean for setting, mean in means.items() if setting[1] == CONSTANT]
    axes = AXES[family]
    warmup, decay = axes.warmup_fractions[0], axes.weight_decays[0]
    return Surface(
        task=task,
        task_family=about.family,
        steps=steps,
        width=about.width,
        base=_curve({s.rate: mean for s, mean in within.items() if s[1:] == (warmup, decay)}),
        warmup_gains=_gains(within, {w: (w, decay) for w in axes.warmup_fractions[1:]}, family),
        decay_gains=_gains(within, {d: (warmup, d) for d in axes.weight_decays[1:]}, family),
        best=max(within.values()),
        chance=about.chance,
        seed_deviation=_deviation(accuracies.values()),
        usual_score=usual[0] if usual else float("nan"),
    )


def _gains(
    means: Means, others: Mapping[float, tuple[float, float]], family: Family
) -> dict[float, Curve]:
    base = (AXES[family].warmup_fractions[0], AXES[family].weight_decays[0])
    gains = {}
    for value, (warmup, decay) in others.items():
        rates = [setting.rate for setting in means if setting[1:] == (warmup, decay)]
        if rates:
            gains[value] = _curve(
                {r: means[Setting(r, warmup, decay)] - means[Setting(r, *base)] for r in rates}
            )
    return gains


def _curve(points: Mapping[float, float]) -> Curve:
    rates = sorted(points)
    return Curve(np.log(rates), np.array([points[rate] for rate in rates]))


def _deviation(accuracies: Iterable[list[float]]) -> float:
    """Return the pooled deviation of one run, free of how its settings differ."""
    cells = np.array(list(accuracies))
    if cells.shape[1] < 2:
        return float("nan")
    # The median is not moved by the few settings where one seed diverges.
    return float(np.sqrt(np.median(cells.var(axis=1, ddof=1)) / 0.455))
