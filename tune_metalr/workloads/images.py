"""Images: decoded once to bytes, cut into normalised batches."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_metalr.errors import UserError
from tune_metalr.workloads.sources import RawData, RawSplit
from tune_metalr.workloads.workload import Source

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]


def decode(source: Source, raw: RawData) -> dict[str, Array]:
    """Decode both splits.

    Returns:
        `train_inputs` and `test_inputs`, uint8 [examples, height, width, channels];
        `train_labels` and `test_labels`, int64 [examples]; `channel_mean` and `channel_std`,
        float64 [channels], of the training split in units of one byte.
    """
    arrays: dict[str, Array] = {}
    for name, split in (("train", raw.train), ("test", raw.test)):
        arrays[f"{name}_inputs"] = _pixels(source, split)
        arrays[f"{name}_labels"] = _labels(source, split)
    train = arrays["train_inputs"]
    # Exact integer sums: the same on every machine and thread count.
    count = train.size // train.shape[-1]
    total = train.sum(axis=(0, 1, 2), dtype=np.int64)
    squares = np.square(train, dtype=np.uint32).sum(axis=(0, 1, 2), dtype=np.int64)
    mean = total / count
    arrays["channel_mean"] = mean
    arrays["channel_std"] = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
    return arrays


class ImageBatches:
    """Turns rows of a mapped byte array into normalised float batches."""

    def __init__(self, channel_mean: Array, channel_std: Array) -> None:
        import torch

        self._mean = torch.from_numpy(np.array(channel_mean, dtype=np.float32))[:, None, None]
        self._scale = torch.from_numpy(1 / np.array(channel_std, dtype=np.float32))[:, None, None]

    def __call__(self, inputs: Array, rows: Array) -> "torch.Tensor":
        """Return float32 [batch, channels, height, width] in channels-last memory.

        Indexing copies, so an in-place operation on a batch cannot reach the shared pages.
        """
        import torch

        pixels = torch.from_numpy(inputs[rows]).permute(0, 3, 1, 2)
        return pixels.to(torch.float32).sub_(self._mean).mul_(self._scale)


def _pixels(source: Source, split: RawSplit) -> Array:
    if isinstance(split.inputs, np.ndarray):
        return split.inputs
    decoded = [_decode_image(row) for row in split.inputs.to_pylist()]
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

    with Image.open(io.BytesIO(row["bytes"])) as image:
        pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _labels(source: Source, split: RawSplit) -> Array:
    labels = np.asarray(split.labels, dtype=np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < source.num_classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"data set '{source.name}' has a label {wrong}; its {source.num_classes} classes "
            f"are 0 to {source.num_classes - 1}"
        )
    return labels
