"""The grid's outcomes as a file of comma-separated values, which the repository holds."""

import csv
from collections.abc import Iterable
from pathlib import Path

from tune_metalr.metalr.meta_training.grid import Cell, Outcome

GRID_FILE = Path(__file__).with_name("oracle_grid.csv")

_COLUMNS = (*Cell._fields, "score", "loss", "diverged", "seconds")


def write_table(outcomes: Iterable[Outcome], file: Path) -> None:
    """Write a line an outcome, in the order of the cells, rounded to what a fit can see."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for cell, score, loss, diverged, seconds, _ in sorted(outcomes):
            numbers = (f"{score:.5f}", f"{loss:.4f}", int(diverged), f"{seconds:.2f}")
            writer.writerow([*cell, *numbers])


def read_table(file: Path) -> list[Outcome]:
    """Return the outcomes of a table."""
    with file.open(newline="") as stream:
        return [_outcome(row) for row in csv.DictReader(stream)]


def with_features(outcomes: Iterable[Outcome], found: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes of a table with the features of the runs that it was written from."""
    features = {outcome.cell: outcome.features for outcome in found}
    return [outcome._replace(features=features[outcome.cell]) for outcome in outcomes]


def _outcome(row: dict[str, str]) -> Outcome:
    cell = Cell(
        task=row["task"],
        steps=int(row["steps"]),
        family=row["family"],
        rate=float(row["rate"]),
        warmup_fraction=float(row["warmup_fraction"]),
        weight_decay=float(row["weight_decay"]),
        seed=int(row["seed"]),
    )
    return Outcome(
        cell,
        score=float(row["score"]),
        loss=float(row["loss"]),
        diverged=row["diverged"] == "1",
        seconds=float(row["seconds"]),
        features=[],
    )
