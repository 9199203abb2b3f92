"""The workloads that a study can name. Importing this package loads no torch."""

from collections.abc import Mapping
from types import MappingProxyType

from tune_metalr.workloads.workload import Family, Source, Workload

_DIGITS = Source(
    name="digits",
    family=Family.IMAGES,
    hub_id=None,
    input_column="images",
    label_column="target",
    num_classes=10,
)
_MNIST = Source(
    name="mnist",
    family=Family.IMAGES,
    hub_id="ylecun/mnist",
    input_column="image",
    label_column="label",
    num_classes=10,
)

WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        workload.name: workload
        for workload in (
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
                target_origin="a round number below what Adam at 1e-3 reaches in 3 epochs "
                "of 10,000 examples",
            ),
        )
    }
)

__all__ = ["WORKLOADS", "Family", "Source", "Workload"]
