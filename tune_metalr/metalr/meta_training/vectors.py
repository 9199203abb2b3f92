"""Tasks on vectors: classes or values come from a random network, and some of them are wrong."""

from functools import partial

import torch
from torch import nn

from tune_metalr.metalr.meta_training.objectives import CLASSES, VALUES, with_label_noise
from tune_metalr.metalr.meta_training.task import Examples, Split, Task
from tune_metalr.metalr.meta_training.variation import Variation

NUM_CLASSES = 8

_INPUTS = 40
_TEACHER_WIDTH = 12
_VALIDATION_EXAMPLES = 1500


def teacher(variation: Variation) -> Task:
    """Return a task whose classes a random network with ReLU gives."""
    return Task(
        name=variation.name,
        family="teacher",
        objective=CLASSES,
        chance=1 / NUM_CLASSES,
        batch_size=variation.batch_size,
        steps=variation.steps,
        make_split=partial(_classes_split, variation),
        make_network=partial(_perceptron, variation, nn.ReLU, NUM_CLASSES),
        initial_scale=variation.initial_scale,
        loss_scale=variation.loss_scale,
    )


def regression(variation: Variation) -> Task:
    """Return a task whose values a random network with tanh gives."""
    return Task(
        name=variation.name,
        family="regression",
        objective=VALUES,
        chance=0.0,
        batch_size=variation.batch_size,
        steps=variation.steps,
        make_split=partial(_values_split, variation),
        make_network=partial(_perceptron, variation, nn.Tanh, 1),
        initial_scale=variation.initial_scale,
        loss_scale=variation.loss_scale,
    )


def _perceptron(variation: Variation, activation: type[nn.Module], outputs: int) -> nn.Module:
    """Return one, two or three hidden layers of 64 to 512."""
    width = 64 * 2 ** round(3 * variation.size)
    layers: list[nn.Module] = []
    inputs = _INPUTS
    for _ in range(1 + int(2.999 * variation.size)):
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _classes_split(variation: Variation, generator: torch.Generator) -> Split:
    inputs = _inputs(variation, generator)
    scores = torch.relu(inputs @ _weights(_INPUTS, _TEACHER_WIDTH, generator))
    scores = scores @ _weights(_TEACHER_WIDTH, NUM_CLASSES, generator)
    # Centred, or one class would take most examples.
    examples = Examples(inputs, (scores - scores.mean(dim=0)).argmax(dim=1))
    train = examples.rows(0, variation.train_examples)
    noisy = with_label_noise(train.targets, variation.label_noise, NUM_CLASSES, generator)
    validation = examples.rows(variation.train_examples, len(inputs))
    return Split(Examples(train.inputs, noisy), validation)


def _values_split(variation: Variation, generator: torch.Generator) -> Split:
    """Noise has the label noise's share of a value's deviation, three times."""
    inputs = _inputs(variation, generator)
    hidden = torch.tanh(inputs @ _weights(_INPUTS, _TEACHER_WIDTH, generator))
    values = hidden @ _weights(_TEACHER_WIDTH, 1, generator)
    examples = Examples(inputs, (values - values.mean()) / values.std())
    train = examples.rows(0, variation.train_examples)
    noise = 3 * variation.label_noise * torch.randn(train.targets.shape, generator=generator)
    validation = examples.rows(variation.train_examples, len(inputs))
    return Split(Examples(train.inputs, train.targets + noise), validation)


def _inputs(variation: Variation, generator: torch.Generator) -> torch.Tensor:
    """Return inputs whose size falls from one to the next as real features' does."""
    count = variation.train_examples + _VALIDATION_EXAMPLES
    scales = torch.arange(1, _INPUTS + 1) ** -0.5
    return 2 * scales * torch.randn(count, _INPUTS, generator=generator)


def _weights(inputs: int, outputs: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(inputs, outputs, generator=generator)
