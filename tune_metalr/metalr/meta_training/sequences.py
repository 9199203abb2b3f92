"""Tasks on sequences of tokens: rare keywords decide, and a token before them may turn them.

Training stays at chance for a while: nothing is learned before the table of tokens says something.
"""

from functools import partial

import torch
from torch import nn

from tune_metalr.metalr.meta_training.objectives import CLASSES, with_label_noise
from tune_metalr.metalr.meta_training.task import Examples, Split, Task
from tune_metalr.metalr.meta_training.variation import Variation

NUM_CLASSES = 2

VOCABULARY = 3000
_VALIDATION_EXAMPLES = 1500
_KEYWORDS_OF_A_CLASS = 120
_KEYWORDS_OF_AN_EXAMPLE = 3
_NEGATION = 0
_NEGATED_FRACTION = 0.25


class SmallRecurrence(nn.Module):
    """Embedding, recurrent layers, dense on the last state."""

    def __init__(self, *, width: int, layers: int, is_gated: bool) -> None:
        super().__init__()
        kind = nn.GRU if is_gated else nn.LSTM
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.recurrent = kind(width, width, num_layers=layers, batch_first=True)
        self.output = nn.Linear(width, NUM_CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens [batch, length] to logits [batch, classes]."""
        states, _ = self.recurrent(self.embedding(tokens))
        logits: torch.Tensor = self.output(states[:, -1])
        return logits


def keywords(variation: Variation) -> Task:
    """Return a task on keywords; half of them have a GRU of one layer, half an LSTM of two."""
    is_small = variation.size < 0.5
    return Task(
        name=variation.name,
        family="keywords",
        objective=CLASSES,
        chance=1 / NUM_CLASSES,
        batch_size=variation.batch_size,
        steps=variation.steps,
        make_split=partial(_split, variation, length=10 if is_small else 16),
        make_network=partial(
            SmallRecurrence,
            width=32 if is_small else 96,
            layers=1 if is_small else 2,
            is_gated=is_small,
        ),
        initial_scale=variation.initial_scale,
        loss_scale=variation.loss_scale,
    )


def _split(variation: Variation, generator: torch.Generator, *, length: int) -> Split:
    """Draw sequences; their class is the sign that most keywords have after negation."""
    count = variation.train_examples + _VALIDATION_EXAMPLES
    tokens = _fillers(count, length, generator)
    votes = torch.zeros(count)
    # Pairs of places: a keyword stands in the second one, a negation may stand in the first.
    pairs = torch.rand(count, length // 2, generator=generator).argsort(dim=1)
    rows = torch.arange(count)
    # An example leans to one class, as a review does; single keywords disagree.
    leaning = torch.randint(2, (count,), generator=generator)
    for number in range(_KEYWORDS_OF_AN_EXAMPLE):
        agrees = torch.rand(count, generator=generator) < 0.85
        sign = torch.where(agrees, leaning, 1 - leaning)
        negated = torch.rand(count, generator=generator) < _NEGATED_FRACTION
        word = _zipf(count, _KEYWORDS_OF_A_CLASS, 0.7, generator)
        shown = torch.where(negated, 1 - sign, sign)
        place = 2 * pairs[:, number]
        tokens[rows, place + 1] = 1 + shown * _KEYWORDS_OF_A_CLASS + word
        tokens[rows, place] = torch.where(negated, _NEGATION, tokens[rows, place])
        votes += 2 * sign - 1
    examples = Examples(tokens, (votes > 0).long())
    train = examples.rows(0, variation.train_examples)
    noisy = with_label_noise(train.targets, variation.label_noise, NUM_CLASSES, generator)
    return Split(Examples(train.inputs, noisy), examples.rows(variation.train_examples, count))


def _fillers(count: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """Return tokens [count, length] without a meaning, drawn by Zipf's law."""
    first = 1 + 2 * _KEYWORDS_OF_A_CLASS
    drawn = _zipf(count * length, VOCABULARY - first, 1.0, generator)
    return first + drawn.reshape(count, length)


def _zipf(count: int, words: int, exponent: float, generator: torch.Generator) -> torch.Tensor:
    """Return numbers below `words`: the n-th is drawn as often as n to the minus exponent."""
    weights = torch.arange(1, words + 1, dtype=torch.float64) ** -exponent
    return torch.multinomial(weights, count, replacement=True, generator=generator)
