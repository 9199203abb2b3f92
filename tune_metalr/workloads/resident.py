"""Examples that lie on a GPU whole: moved there once, cut into batches there.

Batches hold the same numbers as those that are cut from the mapped arrays; a test compares them.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_metalr.workloads.images import ImageExamples
from tune_metalr.workloads.text import PADDING, TextExamples

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]
_SPLITS = ("train", "test")


class ResidentImages(ImageExamples):
    """Images on a device, as whole numbers; a batch is normalised there."""

    def __init__(self, examples: ImageExamples, device: "torch.device") -> None:
        import torch

        super().__init__(examples.arrays)
        self._device = device
        self._pixels = {
            split: torch.from_numpy(np.array(examples.arrays[f"{split}_inputs"])).to(device)
            for split in _SPLITS
        }
        self._mean, self._scale = self._mean.to(device), self._scale.to(device)

    def inputs(self, split: str, rows: Array) -> "torch.Tensor":
        """Return float32 [batch, channels, height, width] in channels-last memory."""
        import torch

        chosen = torch.from_numpy(rows).to(self._device)
        pixels = self._pixels[split][chosen].to(torch.float32)
        return pixels.sub_(self._mean).mul_(self._scale).permute(0, 3, 1, 2)


class ResidentText:
    """Tokens on a device, end to end; a batch is padded there."""

    def __init__(self, examples: TextExamples, device: "torch.device") -> None:
        import torch

        self._examples = examples
        self._device = device
        self._tokens = {
            split: torch.from_numpy(examples.tokens(split).astype(np.int32)).to(device)
            for split in _SPLITS
        }

    def inputs(self, split: str, rows: Array) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return int64 [batch, longest] tokens, padded behind, and int64 [batch] lengths."""
        import torch

        starts, lengths = (
            torch.from_numpy(part).to(self._device) for part in self._examples.spans(split, rows)
        )
        places = torch.arange(int(lengths.max()), device=self._device)
        tokens = self._tokens[split]
        found = tokens[(starts[:, None] + places).clamp_(max=len(tokens) - 1)].to(torch.int64)
        return found.masked_fill_(places >= lengths[:, None], PADDING), lengths

    def train_batches(
        self, order: Array, batch_size: int, generator: np.random.Generator
    ) -> Iterator[Array]:
        """Cut an epoch's rows into batches of rows."""
        return self._examples.train_batches(order, batch_size, generator)

    def evaluation_batches(self, split: str, rows: Array, batch_size: int) -> Iterator[Array]:
        """Cut rows to be scored into batches of rows."""
        return self._examples.evaluation_batches(split, rows, batch_size)
