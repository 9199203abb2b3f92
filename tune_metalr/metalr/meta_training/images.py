"""Tasks on images: scikit-learn's digits, and generated textures."""

import math
from functools import partial

import torch
from sklearn.datasets import load_digits
from torch import nn

from tune_metalr.metalr.meta_training.objectives import CLASSES, with_label_noise
from tune_metalr.metalr.meta_training.task import Examples, Split, Task
from tune_metalr.metalr.meta_training.variation import Variation

NUM_CLASSES = 10

_VALIDATION_EXAMPLES = 1500

_DIGITS_FOR_TRAINING = 1200
_DIGITS_NOISE = 0.35

_TEXTURE_SIDE_PIXELS = 32
_TEXTURE_NOISE = 1.5


class SmallConvolutions(nn.Module):
    """Conv, pool 2, ReLU, conv, pool 2, ReLU, dense, ReLU, dense; sides must be at least 4."""

    def __init__(
        self, *, channels: int, side_pixels: int, widths: tuple[int, int, int], stride: int = 1
    ) -> None:
        super().__init__()
        first, second, hidden = widths
        self.first = nn.Conv2d(channels, first, 3, padding=1, stride=stride)
        self.second = nn.Conv2d(first, second, 3, padding=1)
        self.hidden = nn.Linear(second * (side_pixels // stride // 4) ** 2, hidden)
        self.output = nn.Linear(hidden, NUM_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map [batch, channels, side, side] to logits [batch, classes]."""
        features = torch.relu(nn.functional.max_pool2d(self.first(images), 2))
        features = torch.relu(nn.functional.max_pool2d(self.second(features), 2))
        hidden = torch.relu(self.hidden(features.flatten(1)))
        logits: torch.Tensor = self.output(hidden)
        return logits


def digits(variation: Variation) -> Task:
    """Return a task on digits, moved and with noise on pixels."""
    factor = 2 ** round(2 * variation.size)
    widths = (8 * factor, 16 * factor, 32 * factor)
    return _task(
        variation,
        family="digits",
        make_split=partial(_digits_split, variation),
        make_network=partial(SmallConvolutions, channels=1, side_pixels=8, widths=widths),
    )


def textures(variation: Variation) -> Task:
    """Return a task on coloured gratings."""
    is_small = variation.size < 0.5
    return _task(
        variation,
        family="textures",
        make_split=partial(_texture_split, variation),
        make_network=partial(
            SmallConvolutions,
            channels=3,
            side_pixels=_TEXTURE_SIDE_PIXELS,
            widths=(8, 16, 32) if is_small else (8, 32, 128),
            stride=2 if is_small else 1,
        ),
    )


def _task(variation: Variation, **parts: object) -> Task:
    return Task(
        name=variation.name,
        objective=CLASSES,
        chance=1 / NUM_CLASSES,
        batch_size=variation.batch_size,
        steps=variation.steps,
        initial_scale=variation.initial_scale,
        loss_scale=variation.loss_scale,
        **parts,  # type: ignore[arg-type]
    )


def _digits_split(variation: Variation, generator: torch.Generator) -> Split:
    """Draw digits again and again, each moved by a pixel at most and with noise of its own.

    Without noise a run's last hundredth of accuracy would be decided by six examples. Those to
    score with are digits that are not trained on.
    """
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=generator)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8)[order] / 16
    originals = Examples(images, torch.tensor(classes)[order])
    train = _seen_again(
        originals.rows(0, _DIGITS_FOR_TRAINING), variation.train_examples, generator
    )
    noisy = with_label_noise(train.targets, variation.label_noise, NUM_CLASSES, generator)
    others = originals.rows(_DIGITS_FOR_TRAINING, len(classes))
    return Split(
        Examples(train.inputs, noisy), _seen_again(others, _VALIDATION_EXAMPLES, generator)
    )


def _seen_again(originals: Examples, count: int, generator: torch.Generator) -> Examples:
    rows = torch.randint(len(originals.targets), (count,), generator=generator)
    images = originals.inputs[rows]
    across, down = (torch.randint(-1, 2, (count,), generator=generator) for _ in range(2))
    for shift in (-1, 1):
        for moves, axis in ((down, 2), (across, 3)):
            images[moves == shift] = images[moves == shift].roll(shift, dims=axis)
    images += _DIGITS_NOISE * torch.randn(images.shape, generator=generator)
    return Examples(images, originals.targets[rows])


def _texture_split(variation: Variation, generator: torch.Generator) -> Split:
    """Draw coloured gratings: a class has a direction, a fineness and a colour, each blurred."""
    count = variation.train_examples + _VALIDATION_EXAMPLES
    classes = torch.randint(NUM_CLASSES, (count,), generator=generator)
    images = _gratings(classes, generator)
    images += _TEXTURE_NOISE * torch.randn(images.shape, generator=generator)
    examples = Examples(images, classes)
    train = examples.rows(0, variation.train_examples)
    noisy = with_label_noise(train.targets, variation.label_noise, NUM_CLASSES, generator)
    return Split(Examples(train.inputs, noisy), examples.rows(variation.train_examples, count))


def _gratings(classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return one grating [3, side, side] an example: five directions, two finenesses, colours."""
    count = len(classes)
    direction = classes % 5 * math.pi / 5 + 0.2 * torch.randn(count, generator=generator)
    waves = 3.0 + 2 * (classes // 5) + 0.5 * torch.randn(count, generator=generator)
    phase = 2 * math.pi * torch.rand(count, generator=generator)
    palette = torch.randn(NUM_CLASSES, 3, generator=generator)
    colour = 0.4 * palette[classes] + torch.randn(count, 3, generator=generator)
    ticks = torch.linspace(0, 2 * math.pi, _TEXTURE_SIDE_PIXELS)
    across = torch.cos(direction)[:, None, None] * ticks[None, None, :]
    down = torch.sin(direction)[:, None, None] * ticks[None, :, None]
    height = torch.sin(waves[:, None, None] * (across + down) + phase[:, None, None])
    return colour[:, :, None, None] * height[:, None]
