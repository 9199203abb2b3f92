"""Methods with a name of their own: every setting is frozen, as somebody published it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """A method as a study would write it."""

    settings: Mapping[str, Any]
    origin: str


def _algoperf_nadamw(schedule: str) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            "optimizer": "nadamw",
            "lr": 1.7486e-3,
            "betas": [0.93266, 0.99552],
            "weight_decay": 0.08122,
            "warmup_fraction": 0.02,
            "schedule": schedule,
        }
    )


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "algoperf-nadamw-cosine": Preset(
            _algoperf_nadamw("cosine"),
            "the self-tuning baseline of the AlgoPerf 2024 competition (v0.5), without its dropout",
        ),
        "algoperf-nadamw-linear": Preset(
            _algoperf_nadamw("linear"), "the same point with linear decay"
        ),
    }
)
