"""Command line: run what is left of the grid, fit the prior, write it."""

import argparse
from pathlib import Path

import torch

from tune_metalr.metalr.meta_training.grid import planned, run_grid
from tune_metalr.metalr.meta_training.record import prior_file, write_prior
from tune_metalr.metalr.meta_training.table import GRID_FILE, read_table, write_table
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.prior import PRIOR_FILE


def main() -> None:
    """Run what is left of the grid; then fit to the table, which is rounded, and write."""
    options = _options()
    torch.set_num_threads(1)
    # Numbers too small for a float's normal form slow a processor down by a hundred.
    torch.set_flush_denormal(True)
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes = run_grid(TASKS, options.out / "cells.jsonl", limit_seconds=options.seconds)
    print(f"{len(outcomes)} of {len(list(planned(TASKS)))} runs are finished")
    if options.grid_only or len(outcomes) < len(list(planned(TASKS))):
        return  # a part of the grid must not change what is shipped
    write_table(outcomes, GRID_FILE)
    environment = {"torch": torch.__version__, "threads": str(torch.get_num_threads())}
    content = prior_file(read_table(GRID_FILE), TASKS, environment)
    write_prior(content, PRIOR_FILE)
    for family, law in content["families"].items():
        regret = content["record"]["fits"][family]["mean_regret"]
        print(f"{family}: {law}, mean regret {regret}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tune_metalr.metalr.meta_training")
    parser.add_argument("--out", type=Path, required=True, help="folder of finished cells")
    parser.add_argument("--seconds", type=float, default=3600.0, help="limit of the grid's time")
    parser.add_argument("--grid-only", action="store_true", help="neither fit nor write the prior")
    return parser.parse_args()


if __name__ == "__main__":
    main()
