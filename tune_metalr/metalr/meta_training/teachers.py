"""A task on vectors: classes come from a random network, and some of them are wrong."""

import torch
from torch import nn

from tune_metalr.metalr.meta_training.task import Examples, Split, with_label_noise

NUM_CLASSES = 8

_INPUTS = 40
_TEACHER_WIDTH = 12
_WIDTH = 128
_TRAIN_EXAMPLES = 4000
_VALIDATION_EXAMPLES = 1500
_LABEL_NOISE = 0.15


def teacher_network() -> nn.Module:
    """Return a perceptron with two hidden layers."""
    return nn.Sequential(
        nn.Linear(_INPUTS, _WIDTH),
        nn.ReLU(),
        nn.Linear(_WIDTH, _WIDTH),
        nn.ReLU(),
        nn.Linear(_WIDTH, NUM_CLASSES),
    )


def teacher_split(generator: torch.Generator) -> Split:
    """Draw inputs whose size falls from one to the next as real features' does, and classes."""
    count = _TRAIN_EXAMPLES + _VALIDATION_EXAMPLES
    scales = torch.arange(1, _INPUTS + 1) ** -0.5
    inputs = 2 * scales * torch.randn(count, _INPUTS, generator=generator)
    first = torch.randn(_INPUTS, _TEACHER_WIDTH, generator=generator)
    second = torch.randn(_TEACHER_WIDTH, NUM_CLASSES, generator=generator)
    scores = torch.relu(inputs @ first) @ second
    # Centred, or one class would take most examples.
    classes = (scores - scores.mean(dim=0)).argmax(dim=1)
    examples = Examples(inputs, classes)
    train = examples.rows(0, _TRAIN_EXAMPLES)
    noisy = with_label_noise(train.classes, _LABEL_NOISE, NUM_CLASSES, generator)
    return Split(Examples(train.inputs, noisy), examples.rows(_TRAIN_EXAMPLES, count))
