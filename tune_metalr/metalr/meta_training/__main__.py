"""Command line: run what is left of the grid, fit the prior, write it."""

import argparse
from pathlib import Path

import torch

from tune_metalr.metalr.meta_training.grid import run_grid
from tune_metalr.metalr.meta_training.tasks import TASKS


def main() -> None:
    """Run what is left of the grid."""
    parser = argparse.ArgumentParser(prog="python -m tune_metalr.metalr.meta_training")
    parser.add_argument("--out", type=Path, required=True, help="folder of finished cells")
    parser.add_argument("--seconds", type=float, default=3600.0, help="limit of this call")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # Numbers too small for a float's normal form slow a processor down by a hundred.
    torch.set_flush_denormal(True)
    options.out.mkdir(parents=True, exist_ok=True)
    run_grid(TASKS, options.out / "cells.jsonl", limit_seconds=options.seconds)


if __name__ == "__main__":
    main()
