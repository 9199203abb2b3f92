"""Texts: tokenised once into one flat array, cut into batches of similar length."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.workloads.batches import consecutive
from tune_metalr.workloads.raw import RawData
from tune_metalr.workloads.workload import Source

if TYPE_CHECKING:
    import torch

VOCABULARY_SIZE = 10_000
"""Embedded tokens, padding and the unknown word among them."""

PADDING = 0
UNKNOWN = 1
_FIRST_WORD = 2

_POOL_BATCHES = 50
"""Batches whose examples are sorted by length together: long enough to waste little padding,
short enough that batches differ from epoch to epoch."""

_MARKUP = re.compile(r"<[^>]*>")
# Letters and digits of any script.
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

Array = np.ndarray[Any, Any]


def decode(source: Source, raw: RawData) -> dict[str, Array]:
    """Tokenise both splits with a vocabulary from the training split alone.

    Returns:
        `train_tokens` and `test_tokens`, uint16, all texts of a split one after another;
        `train_offsets` and `test_offsets`, int64 [examples + 1], where each text begins.
    """
    train = [words(text) for text in _texts(source, raw.train.inputs)]
    vocabulary = _vocabulary(train)
    arrays: dict[str, Array] = {}
    test = (words(text) for text in _texts(source, raw.test.inputs))
    for name, texts in (("train", train), ("test", test)):
        arrays[f"{name}_tokens"], arrays[f"{name}_offsets"] = _flatten(texts, vocabulary)
    return arrays


def words(text: str) -> list[str]:
    """Split a text into lower-case words and numbers, without markup and punctuation."""
    return _WORD.findall(_MARKUP.sub(" ", text.lower()))


class TextExamples:
    """Cuts padded batches of similar length out of mapped token arrays."""

    def __init__(self, arrays: Mapping[str, Array], max_tokens: int | None) -> None:
        self._tokens = {name: arrays[f"{name}_tokens"] for name in ("train", "test")}
        self._starts: dict[str, Array] = {}
        self._lengths: dict[str, Array] = {}
        for name in self._tokens:
            offsets = np.asarray(arrays[f"{name}_offsets"])
            starts, ends = offsets[:-1], offsets[1:]
            if max_tokens is not None:
                # A review's verdict stands at its end.
                starts = np.maximum(starts, ends - max_tokens)
            self._starts[name], self._lengths[name] = starts, ends - starts

    def tokens(self, split: str) -> Array:
        """Return the tokens of all texts of a split, end to end."""
        return self._tokens[split]

    def spans(self, split: str, rows: Array) -> tuple[Array, Array]:
        """Return where texts begin among the tokens of their split, and their lengths."""
        return self._starts[split][rows], self._lengths[split][rows]

    def inputs(self, split: str, rows: Array) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return int64 [batch, longest] tokens, padded behind, and int64 [batch] lengths."""
        import torch

        tokens, lengths = self._tokens[split], self._lengths[split][rows]
        padded = np.full((len(rows), lengths.max()), PADDING, np.int64)
        for line, start, length in zip(padded, self._starts[split][rows], lengths, strict=True):
            line[:length] = tokens[start : start + length]
        return torch.from_numpy(padded), torch.from_numpy(lengths)

    def train_batches(
        self, order: Array, batch_size: int, generator: np.random.Generator
    ) -> Iterator[Array]:
        """Cut an epoch's rows, in random order, into batches of similar length.

        Rows are sorted by length within pools of 50 batches; then the generator shuffles all
        batches of the epoch.
        """
        batches = [
            batch
            for pool in consecutive(order, batch_size * _POOL_BATCHES)
            for batch in self.evaluation_batches("train", pool, batch_size)
        ]
        return (batches[index] for index in generator.permutation(len(batches)))

    def evaluation_batches(self, split: str, rows: Array, batch_size: int) -> Iterator[Array]:
        """Cut rows into batches from short to long; ties stay in the given order."""
        shortest_first = np.argsort(self._lengths[split][rows], kind="stable")
        return consecutive(rows[shortest_first], batch_size)


def _texts(source: Source, column: Any) -> Iterator[str]:
    for text in column.to_pylist():
        if not isinstance(text, str):
            raise UserError(
                f"column '{source.input_column}' of '{source.name}' holds {type(text).__name__} "
                f"where text was expected"
            )
        yield text


def _vocabulary(texts: Iterable[list[str]]) -> dict[str, int]:
    """Number the most frequent words; ties in alphabetical order."""
    counts = Counter(word for text in texts for word in text)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    kept = ranked[: VOCABULARY_SIZE - _FIRST_WORD]
    return {word: _FIRST_WORD + rank for rank, word in enumerate(kept)}


def _flatten(texts: Iterable[list[str]], vocabulary: dict[str, int]) -> tuple[Array, Array]:
    numbered = [
        np.array([vocabulary.get(word, UNKNOWN) for word in text] or [UNKNOWN], np.uint16)
        for text in texts
    ]
    lengths = np.array([len(text) for text in numbered], np.int64)
    return np.concatenate(numbered), np.concatenate([[0], np.cumsum(lengths)])
