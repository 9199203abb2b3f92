"""What the driver spends on a trial: wall and CPU time, memory. The trials train nothing.

Run: python tests/benchmarks/driver_overhead.py [TRIALS] [CPUS]
"""

import sys
import threading
import time

import psutil

from tune_metalr.dealer import Dealer, Idle
from tune_metalr.ray_pool import Pool, PoolEvents, PoolOptions, RaySession, SessionOptions
from tune_metalr.store import Store
from tune_metalr.trial import Role, Status, Trial, WantedTrial
from tune_metalr.workloads import WORKLOADS


def train_nothing(trial_json: str, method: str, results: Store | None) -> Status:
    return Status.COMPLETED


def empty_trials(count: int) -> list[WantedTrial]:
    workload = WORKLOADS["digits-cnn"]
    return [
        WantedTrial(
            Trial(
                workload=workload.name,
                workload_settings=workload.settings(),
                data_version="none",
                optimizer="sgd",
                schedule="constant",
                controller="fixed",
                hyperparameters={"lr": 1e-3, "momentum": 0.9, "warmup_fraction": 0.0},
                method_revision="1-1-1",
                seed=seed,
                epochs=1,
                batch_size=64,
                train_examples=None,
                precision="float32",
                threads=1,
            ),
            Role.BASELINE,
            "sgd",
            None,
        )
        for seed in range(count)
    ]


def main(num_trials: int, cpus: int) -> None:
    dealer = Dealer(empty_trials(num_trials), {})
    process = psutil.Process()
    marks: list[tuple[float, float, int]] = []

    def ended(trial_id: str, status: Status) -> None:
        dealer.ended(trial_id, status)
        if dealer.num_ended in (num_trials // 10, num_trials):
            marks.append((time.perf_counter(), time.process_time(), process.memory_info().rss))

    events = PoolEvents(dealer.next, ended, lost=print, again=print, machine_error=print)
    with RaySession(SessionOptions(cpus, None, 1)) as session:
        pool = Pool(session, train_nothing, PoolOptions(need={"CPU": 1}))
        thread = threading.Thread(target=pool.run, args=(events,))
        thread.start()
        thread.join()
    (wall_0, cpu_0, rss_0), (wall_1, cpu_1, rss_1) = marks
    count = num_trials - num_trials // 10
    print(
        f"{num_trials} trials on {cpus} CPUs: {1e3 * (wall_1 - wall_0) / count:.1f} ms wall, "
        f"{1e3 * (cpu_1 - cpu_0) / count:.1f} ms driver CPU, "
        f"{(rss_1 - rss_0) / count / 1e3:.1f} kB driver memory per trial"
    )
    assert dealer.next() is Idle.OVER


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]) if len(sys.argv) > 2 else (1000, 2))
