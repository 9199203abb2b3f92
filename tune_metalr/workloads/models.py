"""The networks. Each is built for the shape of its examples; weights come from torch's stream."""

import torch
from torch import nn


class SmallCNN(nn.Module):
    """Conv 32, ReLU, pool 2, conv 64, ReLU, pool 2, dense 128, ReLU, dense classes.

    Pooling comes before ReLU: the same function, on a quarter of the values. Images under 16
    pixels a side are padded, or nothing would be left of them.
    """

    def __init__(self, *, channels: int, height: int, width: int, num_classes: int) -> None:
        super().__init__()
        padding = 1 if min(height, width) < 16 else 0
        self.first = nn.Conv2d(channels, 32, 3, padding=padding)
        self.second = nn.Conv2d(32, 64, 3, padding=padding)
        for _ in range(2):
            height, width = ((side - 2 + 2 * padding) // 2 for side in (height, width))
        self.hidden = nn.Linear(64 * height * width, 128)
        self.output = nn.Linear(128, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map [batch, channels, height, width] to logits [batch, classes]."""
        features = torch.relu(nn.functional.max_pool2d(self.first(images), 2))
        features = torch.relu(nn.functional.max_pool2d(self.second(features), 2))
        hidden = torch.relu(self.hidden(features.flatten(1)))
        logits: torch.Tensor = self.output(hidden)
        return logits


class SmallResNet(nn.Module):
    """Residual network with batch normalisation: three stages of two blocks, 16, 32, 64 wide.

    He et al. 2016, "Deep residual learning for image recognition", section 4.2, with n = 2
    and 1x1 convolutions where the width changes: 175,258 parameters for ten classes of colour
    images.
    """

    _WIDTHS = (16, 32, 64)
    _BLOCKS = 2

    def __init__(self, *, channels: int, num_classes: int) -> None:
        super().__init__()
        width = self._WIDTHS[0]
        layers: list[nn.Module] = [*_convolution(channels, width), nn.ReLU()]
        for stage, next_width in enumerate(self._WIDTHS):
            for block in range(self._BLOCKS):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(width, next_width, stride=stride))
                width = next_width
        self.features = nn.Sequential(*layers)
        self.output = nn.Linear(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map [batch, channels, side, side] to logits [batch, classes]."""
        logits: torch.Tensor = self.output(self.features(images).mean(dim=(2, 3)))
        return logits


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, width: int, next_width: int, *, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_convolution(width, next_width, stride=stride),
            nn.ReLU(),
            *_convolution(next_width, next_width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if width != next_width:
            self.shortcut = nn.Sequential(*_convolution(width, next_width, size=1, stride=stride))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map [batch, width, side, side] to [batch, next_width, side / stride, ...]."""
        return torch.relu(self.branch(features) + self.shortcut(features))


def _convolution(
    channels: int, width: int, *, size: int = 3, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return a convolution that keeps the side at stride 1, and its normalisation."""
    convolution = nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(width)


class TextLSTM(nn.Module):
    """Embedding 128, LSTM 128 returning sequences, LSTM 128, dense."""

    def __init__(self, *, vocabulary_size: int, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 128)
        self.recurrent = nn.LSTM(128, 128, num_layers=2, batch_first=True)
        self.output = nn.Linear(128, outputs)

    def forward(self, inputs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Map tokens [batch, longest] and lengths [batch] to logits [batch, outputs].

        Padding stands behind a text, so the state at its last real token has not seen any.
        """
        tokens, lengths = inputs
        states, _ = self.recurrent(self.embedding(tokens))
        last = states[torch.arange(len(lengths)), lengths - 1]
        logits: torch.Tensor = self.output(last)
        return logits
