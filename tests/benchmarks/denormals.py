"""What numbers below the normal range of a float cost a run, and that it ends the same without them.

Run: python tests/benchmarks/denormals.py [PAIRS]
Needs TUNE_METALR_DATA or the hub. 5 pairs take some 10 minutes.

sst2-lstm for one epoch, twice: at a rate and a weight decay from the corner of the wide space in which
the weights decay to nothing, and at an ordinary point. Each is run as workers do it, taking such numbers
for 0, and with them kept, in turns. Printed are the medians, their ratio, and whether losses and
accuracies are the same to the last bit.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tune_metalr.runner import wanted_of
from tune_metalr.study_file import load_study
from tune_metalr.training import Training
from tune_metalr.trial import Trial
from tune_metalr.workloads.places import DataPlaces, data_places
from tune_metalr.workloads.task import Task

STUDY = """\
name: denormals
epochs: 1
seeds: 1
workloads: [sst2-lstm]
methods:
  ordinary: {optimizer: sgd, lr: 0.1, momentum: 0.9}
  to-nothing: {optimizer: sgd, lr: 0.5, momentum: 0.7, weight_decay: 0.4}
"""
SAME = ("train_loss_curve_nats", "validation_loss_nats", "test_loss_nats", "test_accuracy")


class Run(NamedTuple):
    seconds: float
    outcome: dict[str, Any]


def run(trial: Trial, places: DataPlaces, *, flushes: bool) -> Run:
    """Train as a worker does, or with all numbers kept."""
    training = Training(trial, Task(trial, places))
    torch.set_flush_denormal(flushes)
    start = time.process_time()
    while not training.is_over:
        training.run_epoch()
    outcome = training.finish()
    return Run(time.process_time() - start, {name: outcome[name] for name in SAME})


def main(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "denormals.yaml"
        path.write_text(STUDY)
        places = data_places(None, fallback=Path(folder) / "data", folders={})
        for wanted in wanted_of(load_study(path).study, places).trials:
            runs: dict[bool, list[Run]] = {False: [], True: []}
            for pair in range(pairs):
                for flushes in (False, True) if pair % 2 == 0 else (True, False):
                    runs[flushes].append(run(wanted.trial, places, flushes=flushes))
            kept, flushed = (
                statistics.median(each.seconds for each in runs[flushes])
                for flushes in (False, True)
            )
            outcomes = [each.outcome for arm in runs.values() for each in arm]
            print(
                f"{wanted.method:12} kept {kept:.1f} s, taken for 0 {flushed:.1f} s, "
                f"{kept / flushed:.2f} times; outcomes "
                f"{'the same' if all(o == outcomes[0] for o in outcomes) else 'differ'}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
