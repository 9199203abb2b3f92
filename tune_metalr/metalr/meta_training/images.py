"""Tasks on images: scikit-learn's digits, and generated textures."""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn

from tune_metalr.metalr.meta_training.task import Examples, Split, with_label_noise

NUM_CLASSES = 10

_DIGITS_TRAIN_EXAMPLES = 1000
_DIGITS_NOISE = 0.35
_DIGITS_LABEL_NOISE = 0.1

_TEXTURE_SIDE_PIXELS = 12
_TEXTURE_TRAIN_EXAMPLES = 4000
_TEXTURE_VALIDATION_EXAMPLES = 1500
_TEXTURE_NOISE = 1.0
_TEXTURE_LABEL_NOISE = 0.15


class SmallConvolutions(nn.Module):
    """Conv, pool 2, ReLU, conv, pool 2, ReLU, dense, ReLU, dense: unpadded sides must be >= 8."""

    def __init__(self, *, channels: int, side_pixels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, hidden = widths
        self.first = nn.Conv2d(channels, first, 3, padding=1)
        self.second = nn.Conv2d(first, second, 3, padding=1)
        self.hidden = nn.Linear(second * (side_pixels // 4) ** 2, hidden)
        self.output = nn.Linear(hidden, NUM_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map [batch, channels, side, side] to logits [batch, classes]."""
        features = torch.relu(nn.functional.max_pool2d(self.first(images), 2))
        features = torch.relu(nn.functional.max_pool2d(self.second(features), 2))
        hidden = torch.relu(self.hidden(features.flatten(1)))
        logits: torch.Tensor = self.output(hidden)
        return logits


def digits_network() -> nn.Module:
    """Return a network for digits."""
    return SmallConvolutions(channels=1, side_pixels=8, widths=(16, 32, 64))


def digits_split(generator: torch.Generator) -> Split:
    """Draw digits with noise on pixels, and on the classes that are trained on.

    Without noise a run's last hundredth of accuracy would be decided by six examples.
    """
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=generator)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8)[order] / 16
    images += _DIGITS_NOISE * torch.randn(images.shape, generator=generator)
    examples = Examples(images, torch.tensor(classes)[order])
    train = examples.rows(0, _DIGITS_TRAIN_EXAMPLES)
    noisy = with_label_noise(train.classes, _DIGITS_LABEL_NOISE, NUM_CLASSES, generator)
    validation = examples.rows(_DIGITS_TRAIN_EXAMPLES, len(classes))
    return Split(Examples(train.inputs, noisy), validation)


def texture_network() -> nn.Module:
    """Return a network for textures."""
    return SmallConvolutions(channels=3, side_pixels=_TEXTURE_SIDE_PIXELS, widths=(16, 32, 64))


def texture_split(generator: torch.Generator) -> Split:
    """Draw coloured gratings: a class has a direction, a fineness and a colour, each blurred."""
    count = _TEXTURE_TRAIN_EXAMPLES + _TEXTURE_VALIDATION_EXAMPLES
    classes = torch.randint(NUM_CLASSES, (count,), generator=generator)
    images = _gratings(classes, generator)
    images += _TEXTURE_NOISE * torch.randn(images.shape, generator=generator)
    examples = Examples(images, classes)
    train = examples.rows(0, _TEXTURE_TRAIN_EXAMPLES)
    noisy = with_label_noise(train.classes, _TEXTURE_LABEL_NOISE, NUM_CLASSES, generator)
    return Split(Examples(train.inputs, noisy), examples.rows(_TEXTURE_TRAIN_EXAMPLES, count))


def _gratings(classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return one grating [3, side, side] an example: five directions, two finenesses, colours."""
    count = len(classes)
    direction = classes % 5 * math.pi / 5 + 0.2 * torch.randn(count, generator=generator)
    waves = 2.0 + classes // 5 + 0.3 * torch.randn(count, generator=generator)
    phase = 2 * math.pi * torch.rand(count, generator=generator)
    palette = torch.randn(NUM_CLASSES, 3, generator=generator)
    colour = 0.4 * palette[classes] + torch.randn(count, 3, generator=generator)
    ticks = torch.linspace(0, 2 * math.pi, _TEXTURE_SIDE_PIXELS)
    across = torch.cos(direction)[:, None, None] * ticks[None, None, :]
    down = torch.sin(direction)[:, None, None] * ticks[None, :, None]
    height = torch.sin(waves[:, None, None] * (across + down) + phase[:, None, None])
    return colour[:, :, None, None] * height[:, None]
