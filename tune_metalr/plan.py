"""What a study will cost, and what its seeds can show, before it is run."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tune_metalr.evidence import too_small
from tune_metalr.search import Search
from tune_metalr.space import Kind, grid_size
from tune_metalr.study import MethodChoice, SearchChoice, Study, method_name, method_names
from tune_metalr.trial import Purpose, Role, Trial, WantedTrial
from tune_metalr.workloads.places import DataPlaces

_DEVELOPMENT = (
    "Development: these runs will be marked as made while a method was being designed, and counted "
    "in every report."
)


class Plan(NamedTuple):
    """The cost of a study, and the limit of its evidence."""

    trials_by_role: dict[str, int]
    gradient_steps: int
    hours: float
    """On this machine, estimated from a short timing."""
    slots: int
    """Trials at once."""
    num_pairs: tuple[int, int]
    """Seeds that a method shares with the reference: the fewest and the most."""
    num_comparisons: int
    """Tests in the family over which Holm's correction is made."""
    smallest_p_values: tuple[float, float]
    """That the first, hardest step of Holm's procedure can reach with so many pairs."""
    notes: list[str]
    """What a user should know of the searches, and of what can be claimed."""


class _Kind(NamedTuple):
    """Trials that take as long as one another."""

    trial: Trial
    """One of them."""
    role: Role
    how_many: int


def plan_study(
    study: Study,
    wanted: Sequence[WantedTrial],
    searches: Sequence[Search],
    places: DataPlaces,
    *,
    cpus: int,
    timed: Callable[[int, int], None] = lambda done, of: None,
) -> Plan:
    """Time each kind of trial for a moment and add up; trials of searches as if none is pruned.

    Args:
        study: The study.
        wanted: Its trials.
        searches: Its searches.
        places: Where data lie.
        cpus: That there are.
        timed: Told how many kinds of trials have been timed, and of how many.
    """
    # Imported here: it needs torch, and the terms of a plan do not.
    from tune_metalr.timing import estimate

    kinds = [_Kind(item.trial, item.role, 1) for item in wanted]
    kinds += [kind for search in searches for kind in _kinds_of(search)]
    to_time = {_decides_duration(kind.trial): kind.trial for kind in reversed(kinds)}
    estimates = {}
    for done, (key, trial) in enumerate(to_time.items()):
        timed(done, len(to_time))
        estimates[key] = estimate(trial, places)
    trials_by_role: Counter[str] = Counter()
    seconds, gradient_steps = 0.0, 0
    for kind in kinds:
        one = estimates[_decides_duration(kind.trial)]
        trials_by_role[kind.role] += kind.how_many
        seconds += kind.how_many * one.seconds
        gradient_steps += kind.how_many * one.gradient_steps
    slots = max(1, int(cpus / study.need["CPU"]))
    comparisons = num_comparisons(study)
    fewest, most = num_pairs(study)
    return Plan(
        trials_by_role=dict(trials_by_role),
        gradient_steps=gradient_steps,
        hours=seconds / slots / 3600,
        slots=slots,
        num_pairs=(fewest, most),
        num_comparisons=comparisons,
        smallest_p_values=(
            smallest_p_value(fewest, comparisons),
            smallest_p_value(most, comparisons),
        ),
        notes=_notes(study, searches),
    )


def _kinds_of(search: Search) -> list[_Kind]:
    """Return the trials of a search and its winners': as many at each of its choices."""
    points = search.representatives()
    trials = [search.make_trial(point) for point in points]
    kinds = [
        _Kind(
            _as_proposed(trial, search), Role.SEARCH, len(range(place, search.trials, len(trials)))
        )
        for place, trial in enumerate(trials)
    ]
    return [*kinds, _Kind(trials[0], Role.FINAL, search.finals * len(search.seeds))]


def _notes(study: Study, searches: Sequence[Search]) -> list[str]:
    notes = dict.fromkeys(note for search in searches if (note := _note(search)))
    lack = too_small(_fewest_seeds(study), [search.identity for search in searches])
    is_development = study.purpose is Purpose.DEVELOPMENT
    return [*notes, *([lack] if lack else []), *([_DEVELOPMENT] if is_development else [])]


def _as_proposed(trial: Trial, search: Search) -> Trial:
    """Return a trial that takes as long as a proposed one: of a population, one round."""
    return dataclasses.replace(trial, epochs=search.trial_epochs)


def _note(search: Search) -> str | None:
    """Return what a user should know of a search before it runs."""
    choices = [name for name, axis in search.space.items() if axis.kind is Kind.CHOICE]
    if search.sampler in ("cmaes", "qmc") and choices:
        return f"{search.label}: {search.sampler} draws {', '.join(choices)} at random"
    if search.is_population:
        generations = search.trials // search.batch
        return (
            f"{search.label}: {search.trials} rounds of {search.trial_epochs} epochs, "
            f"{search.batch} in each of {generations} generations: the cost of {search.batch} runs"
        )
    points = grid_size(search.space, search.grid)
    if search.sampler == "grid" and points > search.trials:
        return f"{search.label}: {search.trials} of the grid's {points} points, drawn at random"
    return None


def num_pairs(study: Study) -> tuple[int, int]:
    """Return how many seeds methods share with the reference: the fewest and the most."""
    named = {
        method_name(name, choice, lr): choice
        for name, choice in study.methods.items()
        for lr in choice.lr
    }
    reference = study.analysis.reference or next(iter(named), None)
    if reference is None:
        return (0, 0)
    shared = [
        len({*study.seeds_of(workload, choice)} & {*study.seeds_of(workload, named[reference])})
        for workload in study.workloads
        for name, choice in named.items()
        if name != reference
    ]
    return (min(shared, default=0), max(shared, default=0))


def _fewest_seeds(study: Study) -> int:
    """Return the fewest runs that stand for a method, or for a search's winner."""
    choices: list[MethodChoice | SearchChoice] = [
        *study.methods.values(),
        *study.searches.values(),
    ]
    return min(
        len(study.seeds_of(workload, choice)) for workload in study.workloads for choice in choices
    )


def num_comparisons(study: Study) -> int:
    """Return the size of the Holm family: every other method against the reference."""
    rivals = max(0, len(method_names(study)) - 1)
    return rivals * (1 if study.analysis.family == "workload" else len(study.workloads))


def smallest_p_value(num_seeds: int, num_comparisons: int) -> float:
    """Return the smallest Holm-adjusted p-value of two-sided paired sign-flip tests.

    All differences of one sign is the most extreme of 2**n outcomes, in both directions:
    2 / 2**n. Holm multiplies the smallest p-value of a family by its size (Holm 1979).
    """
    return min(1.0, max(1, num_comparisons) * 2.0 ** (1 - num_seeds))


def _decides_duration(trial: Trial) -> tuple[object, ...]:
    """Return what a trial's duration depends on."""
    return (
        trial.workload,
        trial.optimizer,
        trial.controller,
        trial.epochs,
        trial.train_examples,
        trial.hyperparameters.get("averaging"),
    )
