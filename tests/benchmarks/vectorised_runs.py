"""Runs of the suite one after another beside the same runs as one, by torch.func.vmap.

Run: python tests/benchmarks/vectorised_runs.py [RUNS] [TURNS]
Needs no data but scikit-learn's digits, and one core for some minutes.

A grid trains a network from the same weights on the same batches with many rates: such runs could
be one, whose weights have one more axis. Time is the processor's, of a step of one run: gradients
and AdamW. Both ways take turns, batch by batch. The last lines weigh tasks by what their runs take:
they are the share of the grid's time that would be left, by vectorising all tasks or those that
gain by it.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from tune_metalr.metalr.meta_training.run import build_optimizer
from tune_metalr.metalr.meta_training.task import (
    Examples,
    Task,
    initial_network,
    split_of,
    train_batches,
)
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.prior import Family

DECAY = 0.3

Step = Callable[[Examples], None]


class Seconds(NamedTuple):
    """Of a step of one run."""

    apart: float
    together: float


def apart(task: Task, runs: int) -> Step:
    """Return a step of every run, one after another."""
    networks = [initial_network(task, seed=0) for _ in range(runs)]
    optimizers = [build_optimizer(Family.ADAM, network, DECAY) for network in networks]

    def step(batch: Examples) -> None:
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad()
            task.loss(network, batch).backward()
            optimizer.step()

    return step


def together(task: Task, runs: int) -> Step:
    """Return a step of all runs at once."""
    network = initial_network(task, seed=0)
    stacked, buffers = stack_module_state([network] * runs)
    weights = {name: weight.detach().clone() for name, weight in stacked.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=0.0, weight_decay=DECAY, fused=True)

    def loss(own, own_buffers, inputs, targets):
        outputs = functional_call(network, (own, own_buffers), (inputs,))
        return task.loss_scale * task.objective.loss(outputs, targets)

    gradients_of = vmap(grad_and_value(loss), in_dims=(0, 0, None, None))

    def step(batch: Examples) -> None:
        gradients, _ = gradients_of(weights, buffers, *batch)
        for name, weight in weights.items():
            weight.grad = gradients[name]
        optimizer.step()

    return step


def measure(task: Task, runs: int, turns: int) -> Seconds:
    ways = (apart(task, runs), together(task, runs))
    batches = train_batches(task, split_of(task).train, seed=0)
    taken: tuple[list[float], ...] = ([], [])
    for turn in range(turns + 1):
        batch = next(batches)
        for way, seconds in zip(ways, taken, strict=True):
            start = time.process_time()
            way(batch)
            if turn:  # the first one makes states of optimizers
                seconds.append(time.process_time() - start)
    return Seconds(*(statistics.median(seconds) / runs for seconds in taken))


def main(runs: int, turns: int) -> None:
    torch.set_num_threads(1)
    print(f"{runs} runs, {turns} turns; milliseconds of a step of one run")
    print(f"{'task':14}{'steps':>7}{'batch':>7}{'apart':>9}{'together':>10}{'ratio':>7}")
    wholes = []
    for task in TASKS:
        seconds = measure(task, runs, turns)
        wholes.append(Seconds(*(task.steps * one for one in seconds)))
        apart_ms, together_ms = (1e3 * one for one in seconds)
        print(
            f"{task.name:14}{task.steps:7}{task.batch_size:7}{apart_ms:9.2f}{together_ms:10.2f}"
            f"{seconds.together / seconds.apart:7.2f}",
            flush=True,
        )
    usual = sum(whole.apart for whole in wholes)
    print(
        f"all tasks vectorised: {sum(whole.together for whole in wholes) / usual:.2f} of the time"
    )
    print(f"those that gain by it: {sum(map(min, wholes)) / usual:.2f} of the time")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*arguments, *(8, 15)[len(arguments) :])
