"""What population based training asks of a search, and of the epochs that it shares out."""

from collections.abc import Iterable, Mapping
from typing import Any

from tune_metalr.methods import CONTROLLERS, SETTINGS
from tune_metalr.proposals import PARENT, POPULATION, RATE
from tune_metalr.space import Kind, Space, setting_of

_COURSE = ("schedule", "warmup_fraction", *SETTINGS)
"""Settings of the rate's course, which a population finds itself."""


def check_population(space: Space, fixed: Mapping[str, Any], *, pruner: str | None) -> None:
    """Refuse a space or settings that a population cannot work on.

    Args:
        space: Its axes.
        fixed: Settings of the method that are no axes.
        pruner: Of the search.

    Raises:
        ValueError: Something does not fit.
    """
    if pruner is not None:
        raise ValueError(f"sampler '{POPULATION}' stops what is bad itself: remove 'pruner'")
    _check_rate(space)
    if PARENT in space:
        raise ValueError(f"sampler '{POPULATION}' takes no axis called '{PARENT}'")
    axes = {setting_of(name) for name in space}
    for name in _COURSE:
        if name in axes or fixed.get(name, _NO_COURSE.get(name)) != _NO_COURSE.get(name):
            raise ValueError(
                f"sampler '{POPULATION}' finds the course of the rate itself: remove '{name}'"
            )
    controller = fixed.get("controller", "fixed")
    sets_rate = any(controller == name and known.sets_rate for name, known in CONTROLLERS.items())
    if "controller" in axes or sets_rate:
        raise ValueError(f"sampler '{POPULATION}' sets the rate itself: remove 'controller'")


def check_generations(trials: int, batch: int, finals: int) -> None:
    """Refuse numbers that make no generations.

    Args:
        trials: Members of all generations together.
        batch: Members of a generation.
        finals: Winners that are run again.

    Raises:
        ValueError: They do not.
    """
    if batch < 2:
        raise ValueError(f"batch: sampler '{POPULATION}' needs generations of at least 2 members")
    if trials % batch or trials < 2 * batch:
        fitting = max(2, -(-trials // batch)) * batch
        raise ValueError(
            f"trials: sampler '{POPULATION}' needs two or more generations of {batch} (the batch) "
            f"each: {fitting} trials, not {trials}"
        )
    if finals > batch:
        raise ValueError(
            f"finals: {finals} are more than the {batch} members of a generation of '{POPULATION}'"
        )


def check_shared_epochs(epochs: Iterable[tuple[str, int]], *, generations: int) -> None:
    """Refuse epochs that generations cannot share evenly.

    Args:
        epochs: Workloads, with the epochs of a whole run.
        generations: Of the search.

    Raises:
        ValueError: A workload's epochs leave a rest.
    """
    for workload, total in epochs:
        if total % generations:
            fewer, more = total // generations * generations, -(-total // generations) * generations
            fitting = f"{fewer} or {more}" if fewer else f"{more}"
            raise ValueError(
                f"the {total} epochs of '{workload}' cannot be shared evenly by {generations} "
                f"generations of '{POPULATION}' (trials / batch): give it {fitting} epochs"
            )


_NO_COURSE: Mapping[str, Any] = {"schedule": "constant", "warmup_fraction": 0}
"""What may be written all the same."""


def _check_rate(space: Space) -> None:
    axis = space.get(RATE)
    kinds = (Kind.LOG_UNIFORM, Kind.UNIFORM)
    if axis is None or axis.kind not in kinds or axis.step is not None:
        raise ValueError(
            f"sampler '{POPULATION}' needs an axis '{RATE}' of kind {' or '.join(kinds)}, without "
            f"a step"
        )
    if also := [name for name in space if name != RATE and setting_of(name) == RATE]:
        raise ValueError(f"sampler '{POPULATION}' takes one axis '{RATE}': remove '{also[0]}'")
