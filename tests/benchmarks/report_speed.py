"""How long a report takes, and how much memory: 10,000 trials, then 300.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.report_speed

Measures `tune-metalr report` as a whole process on made-up ledgers, imports included. The large one
has 100-epoch curves and 2,000-point paths: twenty untuned methods, ten seeds, five workloads, and
nine thousand trials of searches. Fails beyond 60 s or 1.5 GB for it, 10 s for the small one, 10 MB
for either page.
"""

import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.ledgers import made_up_trial, outcome
from tune_metalr.ledger import Ledger
from tune_metalr.rows import to_bytes, to_table
from tune_metalr.storage import write_whole
from tune_metalr.trial import COLUMNS, Role, WantedTrial

_WORKLOADS = ("digits-cnn", "mnist-cnn", "cifar10-cnn", "sst2-lstm", "imdb-lstm")


class Size(NamedTuple):
    """How much a made-up ledger holds."""

    name: str
    workloads: int
    methods: int
    searches: tuple[tuple[str, int, int], ...]
    """Sampler, repeats, trials of each."""
    epochs: int
    steps: int
    most_seconds: float

    @property
    def num_trials(self) -> int:
        """Untuned trials on ten seeds, and those of searches."""
        searched = sum(repeats * trials for _, repeats, trials in self.searches)
        return self.workloads * (10 * self.methods + searched)


SIZES = (
    Size("large", 5, 20, (("random", 1, 600), ("tpe", 10, 60), ("cmaes", 10, 60)), 100, 2000, 60.0),
    Size("small", 2, 6, (("random", 1, 50), ("tpe", 10, 4)), 10, 200, 10.0),
)
_MOST_BYTES = 1.5e9
_MOST_PAGE_BYTES = 10e6


def make(root: Path, size: Size) -> None:
    """Write a ledger of `size`, one segment for each workload."""
    rng = np.random.default_rng(0)
    ledger = Ledger(root)
    ledger.create()
    wanted, searches = [], []
    for workload in _WORKLOADS[: size.workloads]:
        rows = []
        for place in range(size.methods):
            for seed in range(10):
                trial = made_up_trial(seed, method=f"m{place}", workload=workload)
                wanted.append(WantedTrial(trial, Role.BASELINE, f"method-{place}", 0.6))
                rows.append(_row(trial, f"m{place}", 0.5 + 0.01 * place, size, rng))
        for sampler, repeats, trials in size.searches:
            for repeat in range(repeats):
                found, asked = _search(workload, sampler, repeat, trials, size, rng)
                rows += found
                searches += asked
        write_whole(
            root / "trials" / f"segment-{workload}.parquet", to_bytes(to_table(rows, COLUMNS))
        )
    by_id: dict[str, list] = {}
    for row in searches:
        by_id.setdefault(row["search_id"], []).append(row)
    for search_id, rows in by_id.items():
        ledger.record_proposals(search_id, rows)
    ledger.write_study("name: benchmark\n", wanted, ["tune-metalr", "run", "study.yaml"])


def _row(trial, method, accuracy, size, rng):
    noise = rng.normal(0, 0.01, size.epochs)
    curve = accuracy * (1 - np.exp(-np.arange(1, size.epochs + 1) / 10)) + noise
    rates = 1e-3 * np.exp(rng.normal(0, 0.02, size.steps).cumsum())
    return outcome(
        trial, method, float(np.clip(curve[-1], 0, 1)), curve=list(curve), steps=size.steps,
        learning_rates=list(rates), epoch_seconds=[1.0] * size.epochs, cost=size.steps,
        train_loss_curve_nats=list(1 - curve), validation_loss_curve_nats=list(1 - curve),
        epochs_done=size.epochs,
    )  # fmt: skip


def _search(workload, sampler, repeat, trials, size, rng):
    rows, proposals = [], []
    for index in range(trials):
        rate = float(10 ** rng.uniform(-5, -1))
        seed = zlib.crc32(f"{sampler} {repeat} {index}".encode())
        trial = made_up_trial(seed, method="adamw", workload=workload, rate=rate)
        rows.append(_row(trial, "adamw", 0.6 - 0.05 * abs(np.log10(rate) + 3), size, rng))
        proposals.append(
            {
                "search_id": f"adamw-{sampler}-{workload}-{repeat}", "search": "adamw",
                "workload": workload, "sampler": sampler, "repeat": repeat, "index": index,
                "parameters": "{}", "trial_id": trial.trial_id, "told_value": 0.1,
                "state": "COMPLETE",
            }
        )  # fmt: skip
    return rows, proposals


def main() -> None:
    """Measure both sizes; exit with 1 beyond a limit."""
    is_within = True
    for place, size in enumerate(SIZES):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "study"
            # In a process of its own: a child's peak is told to be its parent's at least.
            code = f"from tests.benchmarks.report_speed import *; make(Path({str(root)!r}), SIZES[{place}])"
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds, cpu_seconds, peak = _measured(root)
            page = (root / "report" / "index.html").stat().st_size
        print(
            f"{size.name}: {size.num_trials} trials, {seconds:.1f} s ({cpu_seconds:.1f} s of CPU), "
            f"{peak / 1e6:.0f} MB at most, page {page / 1e6:.2f} MB"
        )
        is_within &= cpu_seconds < size.most_seconds
        is_within &= peak < _MOST_BYTES and page < _MOST_PAGE_BYTES
    sys.exit(0 if is_within else 1)


def _measured(root: Path) -> tuple[float, float, int]:
    """Return seconds, seconds of CPU and peak bytes of one `report`."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "tune_metalr", "report", str(root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    kilobytes = 1 if sys.platform == "darwin" else 1024
    spent = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - begin, spent, usage.ru_maxrss * kilobytes


if __name__ == "__main__":
    main()
