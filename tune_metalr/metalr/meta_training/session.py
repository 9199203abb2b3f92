"""Meta-training from beginning to end: every stage goes on where it was cut short."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tune_metalr.errors import UserError
from tune_metalr.metalr.meta_training.code_digest import code_digest
from tune_metalr.metalr.meta_training.grid import Outcome, planned, run_grid
from tune_metalr.metalr.meta_training.processes import one_thread, processes_of_one_thread
from tune_metalr.metalr.meta_training.record import (
    prior_file,
    with_cost,
    with_refined,
    with_residual,
)
from tune_metalr.metalr.meta_training.run import train
from tune_metalr.metalr.meta_training.stages import (
    MetaTraining,
    Stage,
    ablate_parts,
    described_ablation,
    described_beside,
    refine_law,
    saves,
    try_beside,
)
from tune_metalr.metalr.meta_training.table import (
    GRID_FILE,
    read_table,
    with_features,
    write_table,
)
from tune_metalr.metalr.meta_training.tasks import TASKS, suite
from tune_metalr.metalr.meta_training.verdict import Known, described, judge
from tune_metalr.metalr.prior import PRIOR_FILE, Family, Prior
from tune_metalr.metalr.residual import RESIDUAL_FILES
from tune_metalr.storage import write_whole

_CELLS = "cells"
_VERDICTS = "verdicts.json"
_GRID_SEEDS = 2


def meta_train(
    out: Path,
    *,
    limit_seconds: float,
    processes: int,
    seed: int,
    grid_seeds: int,
    origin: Mapping[str, str],
    is_shipped: bool,
    say: Callable[[str], None],
    others: Mapping[Family, Prior] | None = None,
) -> list[Stage]:
    """Run what is left of the grid; once it is complete, learn from it and write what was found.

    Args:
        out: Folder of everything that was found so far: the same folder goes on.
        limit_seconds: Nothing begins later: no run, and no generation of a search.
        processes: Runs at one time, of one thread each.
        seed: Of initial weights, orders of batches and learning.
        grid_seeds: Runs of each setting of the grid, at most two.
        origin: What the record tells of the command and the code.
        is_shipped: Whether what was found becomes the package's own, once nothing is left to run.
        say: Told each result, a line each.
        others: The laws of another training, which those of this one are tried beside.

    Raises:
        UserError: `out` is a file, or the package's own files are to be written, and cannot.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder, which need not exist")
    package = PRIOR_FILE.parent
    for place in (package, GRID_FILE.parent) if is_shipped else ():
        if not os.access(place, os.W_OK):
            raise UserError(f"{place} cannot be written: leave out --ship")
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + limit_seconds
    with one_thread(), processes_of_one_thread(processes) as pool:
        training = MetaTraining(out, TASKS, seed, grid_seeds, origin, pool, end, say, others)
        found, stage = _run_grid(training)
        if not stage.is_complete:  # a part of the grid must not change what is shipped
            return [stage]
        stages = [stage, *_learn(found, training)]
    if is_shipped and all(stage.is_complete for stage in stages):
        _ship(out, package)
    return stages


def _run_grid(training: MetaTraining) -> tuple[list[Outcome], Stage]:
    first = _GRID_SEEDS * training.seed
    seeds = range(first, first + training.grid_seeds)
    file = training.out / f"{_CELLS}-{code_digest(train, suite)}.jsonl"
    if others := sum(other != file for other in training.out.glob(f"{_CELLS}*.jsonl")):
        files = "1 file" if others == 1 else f"{others} files"
        verb = "is" if others == 1 else "are"
        training.say(f"{files} of runs that other code has made {verb} left alone")
    outcomes = run_grid(
        training.tasks,
        file,
        seeds=seeds,
        end=training.end,
        processes=training.processes,
    )
    wanted = {cell for _, cell in planned(training.tasks, seeds)}
    found = {outcome.cell: outcome for outcome in outcomes if outcome.cell in wanted}
    training.say(f"{len(found)} of {len(wanted)} runs of the grid are finished")
    return [*found.values()], Stage("grid", len(found), len(wanted))


def _learn(found: Sequence[Outcome], training: MetaTraining) -> list[Stage]:
    """Fit the prior, refine it, judge residuals on it, and try what each part is worth."""
    table = training.out / GRID_FILE.name
    write_table(found, table)
    # The fit is that of the table: what is shipped can be made again from it.
    outcomes = with_features(read_table(table), found)
    origin = {**training.origin, "torch": torch.__version__, "threads": "1"}
    content = prior_file(outcomes, training.tasks, origin)
    verdicts: dict[str, Any] = {}
    stages = []
    for family in Family:
        learned = _learn_family(Known.of(outcomes, training.tasks, family), content, training)
        content = learned.content
        stages += learned.stages
        verdicts[family.value] = learned.verdict
    content["record"]["unfinished"] = [stage.name for stage in stages if not stage.is_complete]
    write_whole(training.out / PRIOR_FILE.name, _as_bytes(content))
    write_whole(training.out / _VERDICTS, _as_bytes(verdicts))
    return stages


class _Learned(NamedTuple):
    """What was learned of one family of optimizers."""

    content: dict[str, Any]
    """Of the prior's file."""
    verdict: dict[str, Any]
    stages: list[Stage]


def _learn_family(known: Known, content: dict[str, Any], training: MetaTraining) -> _Learned:
    family = known.family
    law = Prior(**content["families"][family])
    fit = content["record"]["fits"][family]
    training.say(f"{family}: {law._asdict()}, mean regret {fit['mean_regret']}")
    refined = refine_law(known, law, training, has_width=fit["has_width"])
    content = with_cost(content, f"refining {family}", refined.seconds)
    if refined.found is not None:
        content = with_refined(content, family, refined.found)
    verdict = judge(known, law, seed=training.seed)
    training.say(f"{family}: where it has not learned, a residual {saves(verdict.gain)}")
    file = training.out / RESIDUAL_FILES[family]
    file.unlink(missing_ok=True)
    # What the grid tells of moved rates holds around its own law alone.
    if verdict.residual is not None and content["families"][family] == law._asdict():
        verdict.residual.save(file)
        content = with_residual(content, family, hashlib.sha256(file.read_bytes()).hexdigest())
    ablation = ablate_parts(known, verdict, training)
    content = with_cost(content, f"ablation {family}", ablation.seconds)
    told = described(verdict) | {"ablation": described_ablation(ablation)}
    stages = [*refined.stages, ablation.stage]
    beside = try_beside(known, Prior(**content["families"][family]), training)
    if beside is not None:
        content = with_cost(content, f"trial beside {family}", beside.seconds)
        told |= {"beside": described_beside(beside)}
        stages.append(beside.stage)
    return _Learned(content, told, stages)


def _ship(folder: Path, package: Path) -> None:
    """Put what was found in the place of the package's own; the laws last, which name the rest."""
    write_whole(GRID_FILE, (folder / GRID_FILE.name).read_bytes())
    for name in RESIDUAL_FILES.values():
        if (folder / name).exists():
            write_whole(package / name, (folder / name).read_bytes())
        else:
            (package / name).unlink(missing_ok=True)
    for name in (_VERDICTS, PRIOR_FILE.name):
        write_whole(package / name, (folder / name).read_bytes())


def _as_bytes(content: Mapping[str, Any]) -> bytes:
    """Return JSON, one number or short list a line."""
    return (json.dumps(content, indent=1) + "\n").encode()
