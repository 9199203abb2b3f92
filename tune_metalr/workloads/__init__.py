"""The workloads that a study can name. Importing this package loads no torch."""

from collections.abc import Mapping
from types import MappingProxyType

from tune_metalr.workloads.python import PythonWorkload
from tune_metalr.workloads.workload import (
    MAX_TOKENS,
    Family,
    Origin,
    ReadyWorkload,
    Source,
    Workload,
)

_DIGITS = Source(
    name="digits",
    family=Family.IMAGES,
    origin=Origin.BUNDLED,
    location=None,
    input_column="images",
    label_column="target",
    num_classes=10,
)
_MNIST = Source(
    name="mnist",
    family=Family.IMAGES,
    origin=Origin.HUB,
    location="ylecun/mnist",
    input_column="image",
    label_column="label",
    num_classes=10,
)
_CIFAR10 = Source(
    name="cifar10",
    family=Family.IMAGES,
    origin=Origin.HUB,
    location="uoft-cs/cifar10",
    input_column="img",
    label_column="label",
    num_classes=10,
)
_IMDB = Source(
    name="imdb",
    family=Family.TEXT,
    origin=Origin.HUB,
    location="stanfordnlp/imdb",
    input_column="text",
    label_column="label",
    num_classes=2,
)
# The hub hides the labels of the test split: the public validation split is the test everywhere.
_SST2 = Source(
    name="sst2",
    family=Family.TEXT,
    origin=Origin.HUB,
    location="stanfordnlp/sst2",
    input_column="sentence",
    label_column="label",
    num_classes=2,
    test_split="validation",
)

_WORKLOADS = (
    Workload(
        name="digits-cnn",
        source=_DIGITS,
        model="cnn",
        validation_examples=300,
        target_accuracy=0.95,
        target_origin="a round number below what Adam at 1e-3 reaches in 10 epochs",
    ),
    Workload(
        name="mnist-cnn",
        source=_MNIST,
        model="cnn",
        validation_examples=10_000,
        target_accuracy=0.97,
        target_origin="a round number below what Adam at 1e-3 reaches in 3 epochs of 10,000 "
        "examples",
    ),
    Workload(
        name="cifar10-cnn",
        source=_CIFAR10,
        model="cnn",
        validation_examples=10_000,
        target_accuracy=0.55,
        target_origin="what Adam at 1e-3 is asked to reach in 5 epochs of 10,000 examples",
    ),
    Workload(
        name="cifar10-resnet",
        source=_CIFAR10,
        model="resnet",
        validation_examples=10_000,
        target_accuracy=0.55,
        target_origin="that of cifar10-cnn, so that both models are timed to the same goal",
    ),
    Workload(
        name="imdb-lstm",
        source=_IMDB,
        model="lstm",
        validation_examples=5_000,
        max_tokens=MAX_TOKENS,
        target_accuracy=0.75,
        target_origin="what Adam at 3e-3 with warm-up and linear decay is asked to reach in 3 "
        "epochs of 10,000 reviews of 128 tokens",
    ),
    Workload(
        name="sst2-lstm",
        source=_SST2,
        model="lstm",
        validation_examples=872,
        target_accuracy=0.70,
        target_origin="what Adam at 3e-3 with warm-up and linear decay is asked to reach in 5 "
        "epochs",
    ),
)

WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {workload.name: workload for workload in _WORKLOADS}
)

__all__ = [
    "MAX_TOKENS",
    "WORKLOADS",
    "Family",
    "Origin",
    "PythonWorkload",
    "ReadyWorkload",
    "Source",
    "Workload",
]
