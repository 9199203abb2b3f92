"""What controllers cost: whole runs beside the same runs at a fixed rate.

Run: python tests/benchmarks/controller_cost.py [PAIRS] [CONTROLLER ...]
Needs TUNE_METALR_DATA or the hub. MetaLR alone takes about 20 minutes on a slow core.

400 steps of mnist-cnn (batch 64, 4 epochs of 6,400 examples) and 475 of sst2-lstm, evaluations
included, on one thread. Each pair runs the controller and AdamW at a fixed rate one after the other,
in turns; the ratio is taken pair by pair. Beside the wall clock stands the processor's time, which
other work on the machine disturbs less. The upper end is that of a 95 % interval for the median, from
order statistics (Conover 1999, section 3.2): for 10 pairs, the ninth smallest ratio.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import scipy.stats

from tune_metalr.runner import wanted_of
from tune_metalr.study_file import load_study
from tune_metalr.training import Training
from tune_metalr.trial import Trial
from tune_metalr.workloads.places import DataPlaces, data_places
from tune_metalr.workloads.task import Task

MAX_RATIO = 1.03
WORKLOADS = ("mnist-cnn", "sst2-lstm")
STUDY = """\
name: cost
epochs: 4
seeds: 1
workloads:
  - {{name: mnist-cnn, train_examples: 6400}}
  - {{name: sst2-lstm, epochs: 5}}
methods:
  fixed: {{optimizer: adamw, lr: 1e-3}}
{methods}
"""


class Seconds(NamedTuple):
    wall: float
    cpu: float


def timed(trial: Trial, places: DataPlaces) -> Seconds:
    """Run a trial as a worker does, data opened beforehand."""
    task = Task(trial, places)
    start = Seconds(time.perf_counter(), time.process_time())
    training = Training(trial, task)
    while not training.is_over:
        training.run_epoch()
    training.finish()
    return Seconds(time.perf_counter() - start.wall, time.process_time() - start.cpu)


def compare(fixed: Trial, controlled: Trial, places: DataPlaces, pairs: int) -> list[Seconds]:
    """Return the ratios of wall clock and of processor time, pair by pair."""
    ratios = []
    for pair in range(pairs):
        order = (fixed, controlled) if pair % 2 == 0 else (controlled, fixed)
        times = {trial.controller: timed(trial, places) for trial in order}
        a, b = times[controlled.controller], times["fixed"]
        ratios.append(Seconds(a.wall / b.wall, a.cpu / b.cpu))
    return ratios


def upper_end(ratios: list[float]) -> float:
    """Return the upper end of a 95 % interval for the median."""
    place = int(scipy.stats.binom.ppf(0.975, len(ratios), 0.5))
    return sorted(ratios)[min(place, len(ratios) - 1)]


def main(pairs: int, controllers: list[str]) -> None:
    methods = "\n".join(f"  {c}: {{optimizer: adamw, controller: {c}}}" for c in controllers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cost.yaml"
        path.write_text(STUDY.format(methods=methods))
        places = data_places(None, fallback=Path(folder) / "data", folders={})
        trials = {
            (item.trial.workload, item.trial.controller): item.trial
            for item in wanted_of(load_study(path).study, places).trials
        }
        for workload in WORKLOADS:
            timed(trials[workload, "fixed"], places)  # imports and caches
            for controller in controllers:
                fixed, controlled = trials[workload, "fixed"], trials[workload, controller]
                ratios = compare(fixed, controlled, places, pairs)
                for clock in Seconds._fields:
                    values = [getattr(ratio, clock) for ratio in ratios]
                    print(
                        f"{workload:12}{controller:17}{clock:5} median "
                        f"{statistics.median(values):.3f}, upper 95 % end {upper_end(values):.3f} "
                        f"(at most {MAX_RATIO}), {min(values):.3f} to {max(values):.3f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, sys.argv[2:] or ["metalr"])
