"""Seconds from the start of `tune-metalr run` to the first trial's, with data decoded before.

Run: python tests/benchmarks/start_time.py [RUNS]
"""

import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.load import load_trials

STUDY = """\
name: start
workloads: [digits-cnn]
epochs: 1
seeds: 2
methods:
  adam: {optimizer: adam, lr: 1e-3}
"""


def start_seconds(folder: Path, results: str) -> float:
    """Run the study of two short trials, none of which has a result yet."""
    command = [sys.executable, "-m", "tune_metalr", "run", "study.yaml", "--cpus", "2"]
    environment = os.environ | {"TUNE_METALR_CACHE": str(folder / "cache")}
    started = time.time()
    subprocess.run(
        [*command, "--results", results],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    trials = load_trials(folder / results / "start")
    assert set(trials["status"]) == {"completed"}
    first = datetime.datetime.fromisoformat(str(trials["started_utc"].min()))
    return first.timestamp() - started


def main(num_runs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(STUDY)
        start_seconds(folder, "warm-up")  # decodes the data, and warms the disk cache
        seconds = [start_seconds(folder, f"results-{run}") for run in range(num_runs)]
    print(
        f"{num_runs} runs: first trial after {statistics.median(seconds):.2f} s (median; "
        f"{min(seconds):.2f} to {max(seconds):.2f} s)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
