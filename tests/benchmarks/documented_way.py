"""The third arm of `study_speed.py`: the same trials as the documentation shows it.

As Ray Tune's "Getting started" and PyTorch's image tutorials have it: a function that builds
data set, loader and model, a `DataLoader` that transforms image by image, a report per epoch,
one CPU per trial, everything else left at its default. torchvision is no dependency of ours, so
its `Compose([ToTensor(), Normalize(...)])` is written out. The evaluation is small.

Run by `study_speed.py`: python tests/benchmarks/documented_way.py JOBS_JSON; prints a line of JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from ray import tune
from torch.utils.data import DataLoader, Dataset, Subset

from tune_metalr.workloads.cache import open_arrays
from tune_metalr.workloads.models import SmallCNN

TRAIN_EXAMPLES = 10_000
EVALUATION_EXAMPLES = 2_000


class ImageDataset(Dataset):
    """Decoded images that become tensors one by one, as in torchvision's `CIFAR10`."""

    def __init__(self, folder: Path) -> None:
        arrays = open_arrays(folder)
        self.images = np.array(arrays["train_inputs"])
        self.labels = arrays["train_labels"].tolist()
        self.mean = torch.tensor(arrays["channel_mean"] / 255).view(-1, 1, 1)
        self.std = torch.tensor(arrays["channel_std"] / 255).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index].squeeze())
        return self.normalize(to_tensor(image)), self.labels[index]

    def normalize(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.clone().sub_(self.mean).div_(self.std)


def to_tensor(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image, copy=True))
    pixels = pixels.view(image.height, image.width, len(image.getbands()))
    return pixels.permute(2, 0, 1).contiguous().to(torch.get_default_dtype()).div(255)


def train(config: dict[str, Any]) -> None:
    started, cpu_start = time.time(), time.process_time()
    job = config["job"]
    torch.manual_seed(job["seed"])
    dataset = ImageDataset(Path(job["folder"]))
    rows = torch.randperm(len(dataset)).tolist()
    train_set = Subset(dataset, rows[:TRAIN_EXAMPLES])
    test_set = Subset(dataset, rows[-EVALUATION_EXAMPLES:])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=64)
    _, side, channels = dataset.images.shape[1:]
    model = SmallCNN(channels=channels, side=side, num_classes=10)
    optimizer = torch.optim.Adam(model.parameters(), lr=job["lr"])
    for _ in range(job["epochs"]):
        train_epoch(model, optimizer, train_loader)
        accuracy = test(model, test_loader)
        clocks = {"started": started, "ended": time.time()}
        cpu_seconds = time.process_time() - cpu_start
        tune.report({"mean_accuracy": accuracy, "cpu_seconds": cpu_seconds, **clocks})


def train_epoch(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader
) -> None:
    criterion = torch.nn.CrossEntropyLoss()
    model.train()
    running_loss = 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()


def test(model: torch.nn.Module, loader: DataLoader) -> float:
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for inputs, labels in loader:
            predicted = model(inputs).argmax(dim=1)
            total += labels.size(0)
            correct += (predicted == labels).sum().item()
    return correct / total


def main(jobs: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as storage:
        tuner = tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space={"job": tune.grid_search(jobs)},
            run_config=tune.RunConfig(storage_path=storage),
        )
        results = [result.metrics for result in tuner.fit()]
    keys = ("started", "ended", "cpu_seconds", "mean_accuracy")
    print(json.dumps([[result[key] for key in keys] for result in results]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
