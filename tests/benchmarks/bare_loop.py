"""The floor of `study_speed.py`: training as one writes it by hand, in bare processes.

Splits, order and first weights are taken from the task, so that the numbers must come out the
same up to rounding (the study's Adam is torch's fused kernel, this one its default); batches, steps
and evaluations are written out here. Nothing is recorded.
"""

import multiprocessing
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from tune_metalr.seeds import derive_seed
from tune_metalr.trial import Trial
from tune_metalr.workloads.cache import find, open_arrays
from tune_metalr.workloads.places import DataPlaces
from tune_metalr.workloads.task import _EVALUATION_BATCH, CURVE_EXAMPLES, Task
from tune_metalr.workloads.workload import source_from_settings


class Run(NamedTuple):
    """One trial of an arm."""

    trial_id: str
    started: float
    """Unix seconds, as `ended`."""
    ended: float
    cpu_seconds: float
    """Of epochs and evaluations."""
    validation_accuracy: float


class Trained(NamedTuple):
    cpu_seconds: float
    validation_accuracy: float


class Job(NamedTuple):
    trial_json: str
    places: DataPlaces


class Images:
    """Normalised batches of one data set."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        self.arrays = arrays
        self.mean = torch.tensor(arrays["channel_mean"], dtype=torch.float32)[:, None, None]
        self.scale = 1 / torch.tensor(arrays["channel_std"], dtype=torch.float32)[:, None, None]

    def batches(
        self, split: str, rows: Any, size: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, labels = self.arrays[f"{split}_inputs"], self.arrays[f"{split}_labels"]
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            pixels = torch.from_numpy(inputs[chosen]).permute(0, 3, 1, 2).float()
            yield (pixels - self.mean) * self.scale, torch.from_numpy(labels[chosen])


def run_in_bare_processes(trials: list[Trial], places: DataPlaces, processes: int) -> list[Run]:
    """Run the trials in order, each in the first process that is free."""
    context = multiprocessing.get_context("spawn")
    # The clock runs once all of them have imported torch.
    barrier = context.Barrier(processes)
    jobs = [Job(trial.to_json(), places) for trial in trials]
    with context.Pool(processes, _wait_for_all, (barrier,)) as pool:
        return list(pool.imap_unordered(_run, jobs))


def _wait_for_all(barrier: Any) -> None:
    torch.set_num_threads(1)
    barrier.wait()


def _run(job: Job) -> Run:
    trial = Trial.from_json(job.trial_json)
    started = time.time()
    trained = train(trial, job.places)
    return Run(trial.trial_id, started, time.time(), *trained)


def train(trial: Trial, places: DataPlaces) -> Trained:
    """Train and evaluate by hand what the trial says."""
    task = Task(trial, places)
    source = source_from_settings(trial.workload_settings["source"])
    data = Images(open_arrays(find(source, trial.data_version, places)))
    validation = task._validation_rows
    model = task.build_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=trial.hyperparameters["lr"])
    cpu_start = time.process_time()
    for epoch in range(trial.epochs):
        seed = derive_seed("order", trial.workload, trial.seed, epoch)
        order = np.random.default_rng(seed).permutation(task._train_rows)
        model.train()
        for inputs, labels in data.batches("train", order, trial.batch_size):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        evaluate(model, data, "train", validation[:CURVE_EXAMPLES])
    accuracy = evaluate(model, data, "train", validation)
    evaluate(model, data, "test", np.arange(task.sizes.test))
    return Trained(time.process_time() - cpu_start, accuracy)


def evaluate(model: torch.nn.Module, data: Images, split: str, rows: Any) -> float:
    """Return the accuracy; the loss is computed too, as the study does."""
    model.eval()
    correct, loss = 0, 0.0
    with torch.inference_mode():
        for inputs, labels in data.batches(split, rows, _EVALUATION_BATCH):
            outputs = model(inputs)
            loss += functional.cross_entropy(outputs, labels).item() * len(labels)
            correct += (outputs.argmax(dim=1) == labels).sum().item()
    return correct / len(rows)
