"""The grid's outcomes as a file of comma-separated values, which the repository holds."""

import csv
from collections.abc import Iterable
from pathlib import Path

from tune_metalr.metalr.meta_training.grid import Cell, Outcome

GRID_FILE = Path(__file__).with_name("oracle_grid.csv")

_COLUMNS = (*Cell._fields, *Outcome._fields[1:])


def write_table(outcomes: Iterable[Outcome], file: Path) -> None:
    """Write a line an outcome, rounded to what a fit can see."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for cell, accuracy, loss_nats, diverged, seconds in outcomes:
            numbers = (f"{accuracy:.5f}", f"{loss_nats:.4f}", int(diverged), f"{seconds:.2f}")
            writer.writerow([*cell, *numbers])


def read_table(file: Path) -> list[Outcome]:
    """Return the outcomes of a table."""
    with file.open(newline="") as stream:
        return [_outcome(row) for row in csv.DictReader(stream)]


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
        accuracy=float(row["accuracy"]),
        loss_nats=float(row["loss_nats"]),
        diverged=row["diverged"] == "1",
        seconds=float(row["seconds"]),
    )
