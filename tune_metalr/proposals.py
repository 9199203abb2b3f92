"""Samplers: what proposes the hyperparameters of a search."""

from collections.abc import Mapping
from types import MappingProxyType

SAMPLERS: Mapping[str, str] = MappingProxyType(
    {
        "grid": "every point of a grid once, in a shuffled order",
        "random": "independent draws from the space",
        "qmc": "a low-discrepancy sequence that fills the space evenly",
        "tpe": "tree-structured Parzen estimator",
        "gp": "Gaussian process with expected improvement",
        "cmaes": "covariance matrix adaptation evolution strategy",
    }
)
