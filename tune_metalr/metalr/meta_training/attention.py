"""Tasks on attention: a list of pairs, and a key whose value is asked for.

A network has to learn to look the key up. Until it does, training stays near chance.
"""

from functools import partial

import torch
from torch import nn

from tune_metalr.metalr.meta_training.objectives import CLASSES, with_label_noise
from tune_metalr.metalr.meta_training.task import Examples, Split, Task
from tune_metalr.metalr.meta_training.variation import Variation

NUM_CLASSES = 6

_NUM_KEYS = 12
_VALIDATION_EXAMPLES = 1500


class SmallTransformer(nn.Module):
    """Embedding, layers of attention with layer normalisation first, dense on the last place."""

    def __init__(self, *, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_NUM_KEYS * NUM_CLASSES + _NUM_KEYS, width)
        self.places = nn.Parameter(0.1 * torch.randn(length, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.output = nn.Linear(width, NUM_CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens [batch, length] to logits [batch, classes]."""
        states = self.embedding(tokens) + self.places
        for layer in self.layers:
            states = layer(states)
        logits: torch.Tensor = self.output(states[:, -1])
        return logits


def recall(variation: Variation) -> Task:
    """Return a task on pairs of key and value."""
    is_small = variation.size < 0.5
    num_pairs = 3 if is_small else 5
    return Task(
        name=variation.name,
        family="recall",
        objective=CLASSES,
        chance=1 / NUM_CLASSES,
        batch_size=variation.batch_size,
        steps=variation.steps,
        make_split=partial(_split, variation, num_pairs=num_pairs),
        make_network=partial(
            SmallTransformer,
            length=num_pairs + 1,
            width=32 if is_small else 64,
            layers=1 if is_small else 2,
        ),
        initial_scale=variation.initial_scale,
        loss_scale=variation.loss_scale,
    )


def _split(variation: Variation, generator: torch.Generator, *, num_pairs: int) -> Split:
    """Draw pairs of different keys, and one of the keys; a token stands for key and value."""
    count = variation.train_examples + _VALIDATION_EXAMPLES
    keys = torch.rand(count, _NUM_KEYS, generator=generator).argsort(dim=1)[:, :num_pairs]
    values = torch.randint(NUM_CLASSES, (count, num_pairs), generator=generator)
    asked = torch.randint(num_pairs, (count, 1), generator=generator)
    question = _NUM_KEYS * NUM_CLASSES + keys.gather(1, asked)
    tokens = torch.cat([keys * NUM_CLASSES + values, question], dim=1)
    examples = Examples(tokens, values.gather(1, asked).squeeze(1))
    train = examples.rows(0, variation.train_examples)
    noisy = with_label_noise(train.targets, variation.label_noise, NUM_CLASSES, generator)
    return Split(Examples(train.inputs, noisy), examples.rows(variation.train_examples, count))
