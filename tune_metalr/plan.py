"""What a study will cost, and what its seeds can show, before it is run."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tune_metalr.study import Study, method_names
from tune_metalr.trial import Trial, WantedTrial
from tune_metalr.workloads.places import DataPlaces


class Plan(NamedTuple):
    """The cost of a study, and the limit of its evidence."""

    trials_by_role: dict[str, int]
    gradient_steps: int
    hours: float
    """On this machine, estimated from a short timing."""
    slots: int
    """Trials at once."""
    num_comparisons: int
    """Tests in the family over which Holm's correction is made."""
    smallest_p_value: float
    """That the first, hardest step of Holm's procedure can reach with these seeds."""


def plan_study(
    study: Study, wanted: Sequence[WantedTrial], places: DataPlaces, *, cpus: int
) -> Plan:
    """Time each kind of trial for a moment and add up."""
    # Imported here: it needs torch, and the terms of a plan do not.
    from tune_metalr.timing import Estimate, estimate

    estimates: dict[tuple[object, ...], Estimate] = {}
    for item in wanted:
        kind = _kind(item.trial)
        if kind not in estimates:
            estimates[kind] = estimate(item.trial, places)
    costs = [estimates[_kind(item.trial)] for item in wanted]
    slots = max(1, cpus // study.threads_per_trial)
    comparisons = num_comparisons(study)
    return Plan(
        trials_by_role=dict(Counter(str(item.role) for item in wanted)),
        gradient_steps=sum(cost.gradient_steps for cost in costs),
        hours=sum(cost.seconds for cost in costs) / slots / 3600,
        slots=slots,
        num_comparisons=comparisons,
        smallest_p_value=smallest_p_value(len(study.seeds), comparisons),
    )


def num_comparisons(study: Study) -> int:
    """Return the size of the Holm family: every other method against the reference."""
    rivals = len(method_names(study)) - 1
    return rivals * (1 if study.analysis.family == "workload" else len(study.workloads))


def smallest_p_value(num_seeds: int, num_comparisons: int) -> float:
    """Return the smallest Holm-adjusted p-value of two-sided paired sign-flip tests.

    All differences of one sign is the most extreme of 2**n outcomes, in both directions:
    2 / 2**n. Holm multiplies the smallest p-value of a family by its size (Holm 1979).
    """
    return min(1.0, max(1, num_comparisons) * 2.0 ** (1 - num_seeds))


def _kind(trial: Trial) -> tuple[object, ...]:
    """Return what a trial's duration depends on."""
    return (trial.workload, trial.optimizer, trial.controller, trial.epochs, trial.train_examples)
