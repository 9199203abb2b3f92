"""What tasks ask for: the class of an example, or a number."""

import torch
from torch import nn

from tune_metalr.metalr.meta_training.task import Objective


def _accuracy(logits: torch.Tensor, classes: torch.Tensor) -> float:
    return (logits.argmax(dim=1) == classes).double().mean().item()


def _explained_share(predictions: torch.Tensor, values: torch.Tensor) -> float:
    """Return the share of the variance that is explained; less than nothing counts as nothing."""
    unexplained = (predictions - values).square().mean() / values.var(unbiased=False)
    return max(0.0, 1 - unexplained.item())


CLASSES = Objective(nn.functional.cross_entropy, _accuracy)
"""Logits [examples, classes] and classes [examples]: cross-entropy in nats, and accuracy."""

VALUES = Objective(nn.functional.mse_loss, _explained_share)
"""Predictions and values [examples, 1]: mean squared error, and the explained share of variance."""


def with_label_noise(
    classes: torch.Tensor, fraction: float, num_classes: int, generator: torch.Generator
) -> torch.Tensor:
    """Give a fraction of the examples a class at random, which may be the right one."""
    noisy = torch.rand(len(classes), generator=generator) < fraction
    drawn = torch.randint(num_classes, (len(classes),), generator=generator)
    return torch.where(noisy, drawn, classes)
