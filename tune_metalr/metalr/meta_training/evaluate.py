"""A run with a controller in it, as a user has it: what an ablation is scored by."""

from collections.abc import Callable
from functools import partial

import torch

from tune_metalr.batch_loss import BatchLoss
from tune_metalr.controller import LearningRateController
from tune_metalr.metalr.meta_training.run import Score, build_optimizer, score
from tune_metalr.metalr.meta_training.task import Split, Task, initial_network, train_batches
from tune_metalr.metalr.prior import Family

MakeController = Callable[[torch.optim.Optimizer, int], LearningRateController]


def run_controller(
    task: Task,
    split: Split,
    family: Family,
    *,
    seed: int,
    make_controller: MakeController,
    averaged_share: float = 0.0,
) -> Score:
    """Train a task's network with a controller, and score it.

    Args:
        task: What is trained.
        split: Its data.
        family: Of optimizers.
        seed: Of initial weights and the order of batches.
        make_controller: Builds the controller around optimizer and number of steps.
        averaged_share: Of the last steps, whose weights are averaged for the score; 0: the last.
    """
    network = initial_network(task, seed)
    optimizer = build_optimizer(family, network, 0.0)
    controller = make_controller(optimizer, task.steps)
    batches = train_batches(task, split.train, seed)
    average = _Average([*network.parameters()])
    for step in range(task.steps):
        optimizer.zero_grad()
        batch_loss = BatchLoss(partial(task.loss, network, next(batches)))
        loss = batch_loss()
        loss.backward()  # type: ignore[no-untyped-call]
        controller.step(loss, batch_loss)
        if step >= (1 - averaged_share) * task.steps:
            average.take()
    average.put()
    return score(task, network, split.validation)


class _Average:
    """The plain mean of weights after some steps."""

    def __init__(self, weights: list[torch.Tensor]) -> None:
        self._weights = weights
        self._means: list[torch.Tensor] = []
        self._count = 0

    @torch.no_grad()
    def take(self) -> None:
        self._count += 1
        self._means = self._means or [weight.clone() for weight in self._weights]
        torch._foreach_lerp_(self._means, self._weights, 1 / self._count)

    @torch.no_grad()
    def put(self) -> None:
        """Put the mean in the place of the weights, if there is one."""
        if self._count:
            torch._foreach_copy_(self._weights, self._means)
