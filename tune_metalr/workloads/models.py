"""The networks. Each is built for the shape of its examples; weights come from torch's stream."""

import torch
from torch import nn


class SmallCNN(nn.Module):
    """Conv 32, ReLU, pool 2, conv 64, ReLU, pool 2, dense 128, ReLU, dense classes.

    Pooling comes before ReLU: the same function, on a quarter of the values. Images under 16
    pixels a side are padded, or nothing would be left of them.
    """

    def __init__(self, *, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        padding = 1 if side < 16 else 0
        self.first = nn.Conv2d(channels, 32, 3, padding=padding)
        self.second = nn.Conv2d(32, 64, 3, padding=padding)
        for _ in range(2):
            side = (side - 2 + 2 * padding) // 2
        self.hidden = nn.Linear(64 * side * side, 128)
        self.output = nn.Linear(128, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map [batch, channels, side, side] to logits [batch, classes]."""
        features = torch.relu(nn.functional.max_pool2d(self.first(images), 2))
        features = torch.relu(nn.functional.max_pool2d(self.second(features), 2))
        hidden = torch.relu(self.hidden(features.flatten(1)))
        logits: torch.Tensor = self.output(hidden)
        return logits
