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


_ALGOPERF_NADAMW_2026 = MappingProxyType(
    {
        "optimizer": "nadamw",
        "lr": 1.9083e-3,
        "betas": [0.90909, 0.99890],
        "weight_decay": 0.08122,
        "warmup_fraction": 0.1,
        "schedule": "cosine",
    }
)

# A warm-up of ours, not the optimizer's own `warmup_steps`, which would have to know the horizon:
# it reads the rate of each step, also for the weights of its average, so that both are the same.
_SCHEDULE_FREE_ADAMW = MappingProxyType(
    {
        "optimizer": "schedulefree.AdamWScheduleFree",
        "lr": 2.5e-3,
        "betas": [0.9, 0.99552],
        "weight_decay": 0.08122,
        "warmup_fraction": 0.015,
    }
)

_PRODIGY = MappingProxyType(
    {
        "optimizer": "prodigyopt.Prodigy",
        "lr": 1.0,
        "betas": [0.9, 0.999],
        "weight_decay": 0.0,
        "d_coef": 1.0,
        "safeguard_warmup": False,
        "use_bias_correction": False,
        "schedule": "cosine",
    }
)

_D_ADAPT_ADAM = MappingProxyType(
    {
        "optimizer": "dadaptation.DAdaptAdam",
        "lr": 1.0,
        "betas": [0.9, 0.999],
        "weight_decay": 0.0,
        "schedule": "cosine",
    }
)

_MECHANIC_ADAMW = MappingProxyType(
    {
        "optimizer": "tune_metalr.methods.mechanic.MechanicAdamW",
        "lr": 1.0,
        "betas": [0.9, 0.999],
        "weight_decay": 0.01,
        "schedule": "cosine",
    }
)

_MOMO_ADAM = MappingProxyType(
    {
        "optimizer": "tune_metalr.methods.momo.MomoAdam",
        "lr": 1e-2,
        "betas": [0.9, 0.999],
        "weight_decay": 0.0,
        "lb": 0.0,
    }
)


def _dog(name: str, first_distance: float) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            "optimizer": f"tune_metalr.methods.dog.{name}",
            "lr": 1.0,
            "reps_rel": first_distance,
            "weight_decay": 0.0,
            "averaging": True,
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
        "algoperf-nadamw-2026": Preset(
            _ALGOPERF_NADAMW_2026, "the newer self-tuning NAdamW point of AlgoPerf, of 2026"
        ),
        "schedule-free-adamw": Preset(
            _SCHEDULE_FREE_ADAMW,
            "Schedule-Free AdamW at the point of its AlgoPerf v2 submission (2026), warm-up in 2 % "
            "of 0.75 of the steps, without its label smoothing of 0.2; arXiv 2405.15682",
        ),
        "prodigy-cosine": Preset(
            _PRODIGY,
            "Prodigy as its README recommends: rate 1, cosine, and no warm-up, which alone needs "
            "the safeguard; arXiv 2306.06101",
        ),
        "dog": Preset(
            _dog("DoG", 1e-6),
            "DoG and its averager, with the authors' defaults; arXiv 2302.12022",
        ),
        "dog-batch-norm": Preset(
            _dog("DoG", 1e-4), "the same with the first distance for models with batch norm"
        ),
        "l-dog": Preset(
            _dog("LDoG", 1e-6), "layer-wise DoG and its averager, with the authors' defaults"
        ),
        "l-dog-batch-norm": Preset(
            _dog("LDoG", 1e-4), "the same with the first distance for models with batch norm"
        ),
        "d-adapt-adam-cosine": Preset(
            _D_ADAPT_ADAM,
            "D-Adapt Adam with the authors' defaults, on the usual schedule; arXiv 2301.07733",
        ),
        "mechanic-adamw-cosine": Preset(
            _MECHANIC_ADAMW,
            "Mechanic around AdamW with torch's defaults, on cosine; arXiv 2306.00144",
        ),
        "momo-adam": Preset(
            _MOMO_ADAM,
            "MoMo-Adam with the authors' defaults: rate 0.01, constant, and losses of at least 0; "
            "arXiv 2305.07583",
        ),
    }
)
