"""Write the calibration's tables: `python -m analysis.calibration FILE`, an hour on two cores."""

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from analysis.calibration.means import (
    INTERVALS,
    POPULATIONS,
    family_error,
    iqm_coverage,
    mean_coverage,
    non_inferiority_error,
)
from analysis.calibration.searches import SEARCH_MODELS, Design, budget_coverage, deployed_coverage
from analysis.intervals import FEWEST_FOR_RESAMPLING
from analysis.matching import NEVER

_SAMPLES = 10_000
_STUDIES = 1_000
_SEARCHES = 400
_SEED = 20261124

_HEADER = """\
# What the intervals and tests hold

Made by `python -m analysis.calibration FILE`; the truth of each simulation is known. Intervals are
nominally 95 %, tests 5 %.
"""

_DESIGNS = {
    "random, 64 trials": Design(64),
    "random, 256 trials": Design(256),
    "random, 128 trials, unequal costs": Design(128, unequal_costs=True),
    "10 repeats of 64": Design(64, repeats=10),
    "random, 16 trials": Design(16),
}
_SMALL = "random, 16 trials"
_RARE = ("one in five succeeds", "one in twenty succeeds")
_COMMON = tuple(name for name in SEARCH_MODELS if name not in _RARE)


class _Row(Protocol):
    def __call__(self, *, rng: np.random.Generator) -> list[str]: ...


class _Table(NamedTuple):
    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[_Row]


def write_tables(path: Path) -> None:
    """Simulate everything and write the tables, line by line."""
    with path.open("w") as file, ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        print(_HEADER, end="", file=file)
        for table in _TABLES:
            for line in _lines(table, pool.map(_simulated, table.rows, range(len(table.rows)))):
                print(line, file=file, flush=True)


def _lines(table: _Table, rows: Iterable[list[str]]) -> Iterator[str]:
    yield from ("", f"## {table.title}", "", table.note, "")
    yield f"| {' | '.join(table.columns)} |"
    yield f"|{'---|' * len(table.columns)}"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def _simulated(row: _Row, number: int) -> list[str]:
    """Return a row's cells: each row has random numbers of its own."""
    return row(rng=np.random.default_rng((_SEED, number)))


def _mean_row(population: str, n: int, *, rng: np.random.Generator) -> list[str]:
    cells = [population, str(n)]
    for name in INTERVALS:
        if n < FEWEST_FOR_RESAMPLING and name not in ("chosen", "Student"):
            cells.append("")
            continue
        found = mean_coverage(population, name, n=n, samples=_SAMPLES, rng=rng)
        cells.append(f"{found.share:.3f} ({found.median_width:.2f})")
    return cells


def _family_row(population: str, *, rng: np.random.Generator) -> list[str]:
    errors = (
        family_error(population, rivals=rivals, n=10, studies=_SAMPLES, rng=rng)
        for rivals in (3, 5)
    )
    return [population, *(f"{error:.4f}" for error in errors)]


def _non_inferiority_row(population: str, *, rng: np.random.Generator) -> list[str]:
    errors = (
        non_inferiority_error(population, n=n, mirrored=mirrored, studies=_SAMPLES, rng=rng)
        for n in (5, 10)
        for mirrored in (False, True)
    )
    return [population, *(f"{error:.4f}" for error in errors)]


def _across_row(n: int, *, rng: np.random.Generator) -> list[str]:
    return [str(n), f"{iqm_coverage(workloads=4, n=n, samples=_STUDIES, rng=rng):.3f}"]


def _budget_row(
    label: str, model: str, true_budget: float, *, rng: np.random.Generator
) -> list[str]:
    found = budget_coverage(model, _DESIGNS[label], true_budget, studies=_SEARCHES, rng=rng)
    return [label, model, _budget(true_budget), *(f"{share:.3f}" for share in found)]


def _deployed_row(
    model: str, trials: int, true_budget: float, *, rng: np.random.Generator
) -> list[str]:
    share = deployed_coverage(model, trials, true_budget, studies=_SEARCHES, rng=rng)
    return [f"random, {trials} trials", model, _budget(true_budget), f"{share:.3f}"]


def _budget(true_budget: float) -> str:
    return "never" if true_budget == NEVER else f"{true_budget:g}"


def _true_budgets(design: Design) -> tuple[float, ...]:
    return (1, 3, 8, design.longest * 3 // 4, NEVER)


_HARD_CASES = [
    *((_SMALL, model) for model in SEARCH_MODELS),
    *((label, model) for label in ("random, 64 trials", "random, 256 trials") for model in _RARE),
]


_TABLES = (
    _Table(
        "Mean of n paired differences: coverage of the interval (and its median width)",
        f"{_SAMPLES:,} samples a cell.",
        ("population", "n", *INTERVALS),
        [partial(_mean_row, name, n) for name in POPULATIONS for n in (3, 5, 10, 20)],
    ),
    _Table(
        "Families: any difference found among equal methods, 10 seeds, Holm",
        f"{_SAMPLES:,} studies a cell.",
        ("population", "3 comparisons", "5 comparisons"),
        [partial(_family_row, name) for name in POPULATIONS],
    ),
    _Table(
        "Non-inferiority: a method that is worse by just the margin passes",
        f"{_SAMPLES:,} studies a cell.",
        ("population", "5 seeds", "5, mirrored", "10 seeds", "10, mirrored"),
        [partial(_non_inferiority_row, name) for name in POPULATIONS],
    ),
    _Table(
        "Difference of interquartile means over 4 workloads: coverage of the interval",
        f"{_STUDIES:,} studies a line.",
        ("seeds", "coverage"),
        [partial(_across_row, n) for n in (5, 10, 20)],
    ),
    _Table(
        "Budget to match: coverage of the interval",
        f"{_SEARCHES:,} studies a line, 10 untuned seeds. `more than`: the one-sided claim was\n"
        "true or not made. `band`: the simultaneous band held the whole true curve.",
        ("search", "quality", "true budget", "interval", "more than", "band"),
        [
            partial(_budget_row, label, model, budget)
            for label, design in _DESIGNS.items()
            if label != _SMALL
            for model in _COMMON
            for budget in _true_budgets(design)
        ],
    ),
    _Table(
        "Budget to match, few trials or rare success: coverage of the interval",
        f"{_SEARCHES:,} studies a line, as above.\n"
        "Where few trials succeed, the band is too narrow.",
        ("search", "quality", "true budget", "interval", "more than", "band"),
        [
            partial(_budget_row, label, model, budget)
            for label, model in _HARD_CASES
            for budget in (1, 3, NEVER)
        ],
    ),
    _Table(
        "Budget to match of the deployed model: coverage of the interval",
        f"{_SEARCHES:,} studies a line, 10 untuned seeds: restarts of the untuned method are\n"
        "selected as trials are.",
        ("search", "quality", "true budget", "interval"),
        [
            partial(_deployed_row, model, trials, budget)
            for trials in (16, 64)
            for model in SEARCH_MODELS
            for budget in (1, 3, NEVER)
        ],
    ),
)


if __name__ == "__main__":
    write_tables(Path(sys.argv[1]))
