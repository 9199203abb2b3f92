"""The loss of every workload that does not bring its own."""

import torch
from torch.nn import functional


def classification_loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of a batch in nats: logistic for [batch, 1] outputs, else softmax."""
    if outputs.shape[1] == 1:
        targets = labels.to(outputs.dtype)
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], targets)
    return functional.cross_entropy(outputs, labels)
