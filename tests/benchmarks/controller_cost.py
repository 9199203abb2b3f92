"""What controllers cost: whole runs beside the same runs at a fixed rate.

Run: python tests/benchmarks/controller_cost.py [PAIRS] [CONTROLLER ...]
Needs TUNE_METALR_DATA or the hub. MetaLR alone takes about 20 minutes on a slow core.

400 steps of mnist-cnn (batch 64, 4 epochs of 6,400 examples) and 475 of sst2-lstm, evaluations
included, on one thread. Each pair runs the controller and AdamW at a fixed rate side by side, an epoch
of the one and an epoch of the other, in turns: a machine that is slow for a minute is so for both. The
ratio of the whole runs' times is taken pair by pair. Beside the wall clock stands the processor's time,
which other work on the machine disturbs less. The upper end is that of a 95 % interval for the median,
from order statistics (Conover 1999, section 3.2): for 10 pairs, the ninth smallest ratio.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
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


class TimedRun:
    """A run whose epochs are timed, each by itself."""

    def __init__(self, trial: Trial, places: DataPlaces) -> None:
        self.seconds = Seconds(0.0, 0.0)

        def begin() -> None:
            self._training = Training(trial, Task(trial, places))

        self._add(begin)

    @property
    def is_over(self) -> bool:
        return self._training.is_over

    def run_epoch(self) -> None:
        self._add(self._training.run_epoch)

    def finish(self) -> Seconds:
        self._add(self._training.finish)
        return self.seconds

    def _add(self, part: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        part()
        self.seconds = Seconds(
            self.seconds.wall + time.perf_counter() - wall,
            self.seconds.cpu + time.process_time() - cpu,
        )


def compare(fixed: Trial, controlled: Trial, places: DataPlaces, pairs: int) -> list[Seconds]:
    """Return the ratios of wall clock and of processor time, pair by pair."""
    ratios = []
    for pair in range(pairs):
        runs = {trial.controller: TimedRun(trial, places) for trial in (fixed, controlled)}
        order = list(runs.values()) if pair % 2 == 0 else list(reversed(runs.values()))
        while not all(run.is_over for run in order):
            for run in order:
                if not run.is_over:
                    run.run_epoch()
        a, b = runs[controlled.controller].finish(), runs[fixed.controller].finish()
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
            TimedRun(trials[workload, "fixed"], places).run_epoch()  # imports and caches
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
