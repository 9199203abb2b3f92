"""A task on sequences of tokens: rare keywords decide, and a token before them may turn them."""

import torch
from torch import nn

from tune_metalr.metalr.meta_training.task import Examples, Split, with_label_noise

NUM_CLASSES = 2

VOCABULARY = 3000
LENGTH_TOKENS = 12
_TRAIN_EXAMPLES = 3200
_VALIDATION_EXAMPLES = 1500
_KEYWORDS_OF_A_CLASS = 120
_KEYWORDS_OF_AN_EXAMPLE = 3
_NEGATION = 0
_NEGATED_FRACTION = 0.25
_LABEL_NOISE = 0.2


class SmallLSTM(nn.Module):
    """Embedding, two layers of LSTM, dense on the last state."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.recurrent = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.output = nn.Linear(width, NUM_CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens [batch, length] to logits [batch, classes]."""
        states, _ = self.recurrent(self.embedding(tokens))
        logits: torch.Tensor = self.output(states[:, -1])
        return logits


def keyword_network() -> nn.Module:
    """Return a network for keywords."""
    return SmallLSTM(width=48)


def keyword_split(generator: torch.Generator) -> Split:
    """Draw sequences; their class is the sign that most keywords have after negation."""
    count = _TRAIN_EXAMPLES + _VALIDATION_EXAMPLES
    tokens = _fillers(count, generator)
    votes = torch.zeros(count)
    # Pairs of places: a keyword stands in the second one, a negation may stand in the first.
    pairs = torch.rand(count, LENGTH_TOKENS // 2, generator=generator).argsort(dim=1)
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
    train = examples.rows(0, _TRAIN_EXAMPLES)
    noisy = with_label_noise(train.classes, _LABEL_NOISE, NUM_CLASSES, generator)
    return Split(Examples(train.inputs, noisy), examples.rows(_TRAIN_EXAMPLES, count))


def _fillers(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return tokens [count, length] without a meaning, drawn by Zipf's law."""
    first = 1 + 2 * _KEYWORDS_OF_A_CLASS
    drawn = _zipf(count * LENGTH_TOKENS, VOCABULARY - first, 1.0, generator)
    return first + drawn.reshape(count, LENGTH_TOKENS)


def _zipf(count: int, words: int, exponent: float, generator: torch.Generator) -> torch.Tensor:
    """Return numbers below `words`: the n-th is drawn as often as n to the minus exponent."""
    weights = torch.arange(1, words + 1, dtype=torch.float64) ** -exponent
    return torch.multinomial(weights, count, replacement=True, generator=generator)
