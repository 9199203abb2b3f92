"""Small problems with known answers."""

from typing import NamedTuple

import torch

from tune_metalr.batch_loss import BatchLoss
from tune_metalr.controller import LearningRateController


class Quadratic:
    """f(w) = w'Hw / 2 for a diagonal H, times a factor."""

    def __init__(self, curvatures=(1.0, 3.0), *, start=1.0, dtype=torch.float64, times=1.0):
        self.curvatures = torch.tensor(curvatures, dtype=dtype)
        self.weight = torch.nn.Parameter(torch.full_like(self.curvatures, start))
        self.times = times

    def loss(self) -> torch.Tensor:
        return self.times * (self.curvatures * self.weight**2).sum() / 2


class Trained(NamedTuple):
    rates: list[float]
    losses: list[float]


def train(controller: LearningRateController, problem, steps: int, *, closure=True) -> Trained:
    """Take some steps; a problem has a `loss`."""
    rates, losses = [], []
    for _ in range(steps):
        controller.optimizer.zero_grad()
        batch_loss = BatchLoss(problem.loss)
        loss = batch_loss()
        loss.backward()
        controller.step(loss, batch_loss if closure else None)
        rates.append(controller.learning_rate)
        losses.append(float(loss.detach()))
    return Trained(rates, losses)
