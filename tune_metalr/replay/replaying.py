"""Searches simulated on recorded trials: from a results folder to arrays."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tune_metalr.errors import UserError, nearest
from tune_metalr.pruning import PRUNERS, Pruner
from tune_metalr.replay.one_search import ReplayName, SearchArrays, replay_search
from tune_metalr.replay.recording import recordings
from tune_metalr.replay.resolving import Resolver, Rule, best_rule
from tune_metalr.replay.result import Replay, ReplayedSampler
from tune_metalr.replay.samplers import check_lengths, check_names, check_space
from tune_metalr.replay.table import Table, make_table
from tune_metalr.store import Location

Heard = Callable[[str, str, int], None]
"""Called with workload, sampler and repeats done."""


def replay(
    folder: Location,
    samplers: Sequence[str],
    *,
    trials: int = 64,
    repeats: int = 1000,
    workers: int = 1,
    batch: int = 4,
    search: str | None = None,
    workload: str | None = None,
    pruner: str | None = None,
    rule: str | None = None,
    seed: int = 0,
    heard: Heard | None = None,
) -> tuple[Replay, ...]:
    """Run searches on the recorded trials of a study, one replay for each workload.

    A repeat depends on nothing but its number, `seed`, and what is replayed: the first ten of a
    hundred are those of ten.

    Args:
        folder: Of one study.
        samplers: Names of `REPLAY_SAMPLERS`, or import paths of Optuna samplers.
        trials: Of each search.
        repeats: Searches by each sampler.
        workers: Trials that run at once, for the simulated clock.
        batch: Proposals asked at once.
        search: The study's search whose trials are the table; all, if they have one space.
        workload: Only this one.
        pruner: A name of `PRUNERS`.
        rule: A value of `Rule`, for proposals off the recorded points; that of the lower
            leave-one-out error, if not given.
        seed: Of all random streams.
        heard: Told of progress.

    Raises:
        UserError: An argument is out of its range, or the folder holds nothing to replay.
    """
    _check_numbers(trials=trials, repeats=repeats, workers=workers, batch=batch)
    if not samplers:
        raise UserError("which samplers? Such as: --samplers random,tpe")
    check_names(samplers)
    chosen_pruner, chosen_rule = _pruner(pruner), _rule(rule)
    found = recordings(folder, search=search, workload=workload)
    tables = [make_table(recording) for recording in found]
    for table in tables:
        check_lengths(table, samplers, trials=trials)
        check_space(table, samplers)
        _check_curves(table, chosen_pruner)
    options = _Options(chosen_pruner, chosen_rule, trials, repeats, workers, batch, seed)
    return tuple(_replayed(table, samplers, options, heard=heard) for table in tables)


class _Options(NamedTuple):
    """What all searches have in common, checked."""

    pruner: Pruner | None
    rule: Rule | None
    trials: int
    repeats: int
    workers: int
    batch: int
    seed: int


def _replayed(
    table: Table, samplers: Sequence[str], options: _Options, *, heard: Heard | None
) -> Replay:
    best, errors = best_rule(table)
    pruner = options.pruner
    resolver = Resolver(table, options.rule or best, with_curves=pruner is not None)
    workload = table.recording.workload
    made = []
    for sampler in dict.fromkeys(samplers):
        names = [
            ReplayName(workload, sampler, pruner, options.batch, options.seed, repeat)
            for repeat in range(options.repeats)
        ]
        made.append(
            ReplayedSampler(
                sampler=sampler,
                pruner=None if pruner is None else str(pruner),
                batch=options.batch,
                workers=options.workers,
                trials=_searches(resolver, names, trials=options.trials, heard=heard),
            )
        )
    return Replay(
        table=table, rule=resolver.rule, errors=errors, seed=options.seed, samplers=tuple(made)
    )


def _searches(
    resolver: Resolver, names: Sequence[ReplayName], *, trials: int, heard: Heard | None
) -> SearchArrays:
    found = []
    for name in names:
        found.append(replay_search(resolver, name, trials=trials))
        if heard is not None:
            heard(name.workload, name.sampler, len(found))
    return SearchArrays(*(np.stack(columns) for columns in zip(*found, strict=True)))


def _check_numbers(*, trials: int, repeats: int, workers: int, batch: int) -> None:
    numbers = {"trials": trials, "repeats": repeats, "workers": workers, "batch": batch}
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"--{name} {number}: at least 1 is needed")
    if batch > trials:
        raise UserError(f"--batch {batch} is larger than the {trials} trials of a search")


def _pruner(name: str | None) -> Pruner | None:
    if name is None:
        return None
    if name not in PRUNERS:
        raise UserError(f"unknown pruner '{name}'{nearest(name, PRUNERS)}")
    return Pruner(name)


def _rule(name: str | None) -> Rule | None:
    if name is None:
        return None
    if name not in set(Rule):
        raise UserError(f"unknown rule '{name}'{nearest(name, Rule)}")
    return Rule(name)


def _check_curves(table: Table, pruner: Pruner | None) -> None:
    """Refuse a pruner where there is nothing that it could look at."""
    lengths = table.curve_lengths[~table.is_diverged]
    if pruner is not None and (lengths < table.recording.epochs).any():
        raise UserError(
            f"--pruner needs the validation accuracy after every epoch, and trials on "
            f"{table.recording.workload} were recorded without"
        )
