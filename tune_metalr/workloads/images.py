"""Images: decoded once to bytes, cut into normalised batches."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.workloads.batches import EqualSizeExamples
from tune_metalr.workloads.raw import RawData, RawSplit
from tune_metalr.workloads.workload import Source

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]

_SMALLEST_SIDE = 4
"""After two poolings, something must be left."""


def decode(source: Source, raw: RawData) -> dict[str, Array]:
    """Decode both splits.

    Returns:
        `train_inputs` and `test_inputs`, uint8 [examples, height, width, channels];
        `channel_mean` and `channel_std`, float64 [channels], of the training split in units of
        one byte.
    """
    arrays = {
        "train_inputs": _pixels(source, raw.train),
        "test_inputs": _pixels(source, raw.test),
    }
    train, test = arrays["train_inputs"], arrays["test_inputs"]
    if train.shape[1:] != test.shape[1:]:
        raise UserError(
            f"the images of '{source.name}' differ in shape between the splits "
            f"({train.shape[1:]} and {test.shape[1:]}); resize them to one shape first"
        )
    if min(train.shape[1:3]) < _SMALLEST_SIDE:
        raise UserError(
            f"the images of '{source.name}' are smaller than {_SMALLEST_SIDE} pixels a side"
        )
    # Exact integer sums: the same on every machine and thread count.
    count = train.size // train.shape[-1]
    total = train.sum(axis=(0, 1, 2), dtype=np.int64)
    squares = np.square(train, dtype=np.uint32).sum(axis=(0, 1, 2), dtype=np.int64)
    mean = total / count
    arrays["channel_mean"] = mean
    arrays["channel_std"] = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
    return arrays


class ImageExamples(EqualSizeExamples):
    """Cuts normalised float batches out of mapped byte arrays."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        import torch

        self.arrays = arrays
        mean, std = (arrays[f"channel_{name}"].astype(np.float32) for name in ("mean", "std"))
        # One value per pixel: torch is ten times slower where it has to repeat three of them.
        self._mean, self._scale = (
            torch.from_numpy(np.tile(value, (*self.shape[:2], 1))) for value in (mean, 1 / std)
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.arrays["train_inputs"].shape[1:]
        return height, width, channels

    def inputs(self, split: str, rows: Array) -> "torch.Tensor":
        """Return float32 [batch, channels, height, width] in channels-last memory.

        Indexing copies, so an in-place operation on a batch cannot reach the shared pages.
        """
        import torch

        pixels = torch.from_numpy(self.arrays[f"{split}_inputs"][rows]).to(torch.float32)
        return pixels.sub_(self._mean).mul_(self._scale).permute(0, 3, 1, 2)


def _pixels(source: Source, split: RawSplit) -> Array:
    if isinstance(split.inputs, np.ndarray):
        return split.inputs
    decoded = []
    for number, row in enumerate(split.inputs.to_pylist()):
        try:
            decoded.append(_decode_image(row))
        except (OSError, TypeError, KeyError) as error:
            raise UserError(
                f"row {number} of column '{source.input_column}' of '{source.name}' is no image"
            ) from error
    if not decoded:
        raise UserError(f"data set '{source.name}' has an empty split")
    shapes = {image.shape for image in decoded}
    if len(shapes) > 1:
        raise UserError(
            f"the images of '{source.name}' differ in shape ({sorted(shapes)[0]} and "
            f"{sorted(shapes)[-1]}, among others); resize them to one shape first"
        )
    return np.stack(decoded)


def _decode_image(row: dict[str, Any]) -> Array:
    from PIL import Image

    # Hubs keep the file itself; a folder of images is read as a list of paths.
    file = row["path"] if row["bytes"] is None else io.BytesIO(row["bytes"])
    with Image.open(file) as image:
        pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    return pixels if pixels.ndim == 3 else pixels[..., None]
