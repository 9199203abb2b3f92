"""What a ledger has recorded of one function: its search space, and trials at points of it."""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.proposals import POPULATION
from tune_metalr.space import Point, Space, space_from_json
from tune_metalr.store import Location
from tune_metalr.trial import MISSING, Status, canonical_json

_COLUMNS = frozenset(
    {
        "validation_accuracy", "validation_loss_nats", "test_accuracy", "epochs_done",
        "validation_accuracy_curve", "train_seconds", "evaluation_seconds", "probe_seconds",
        "gradient_evaluations",
    }
)  # fmt: skip

_SECONDS = ("train_seconds", "evaluation_seconds", "probe_seconds")

SURVIVED = "survived a pruner"
"""Left out: what a pruner lets pass is better than what is typical of its point."""

OUTSIDE = "not of the current study"
WITHOUT_SCORE = "without a score"


class RecordedTrial(NamedTuple):
    """A completed or diverged trial."""

    point: Point
    is_diverged: bool
    validation_accuracy: float
    """Chance, as `test_accuracy`, for a trial that diverged."""
    validation_loss_nats: float
    """Infinite if there is none."""
    test_accuracy: float
    curve: tuple[float, ...]
    """Validation accuracy after each epoch."""
    seconds: float
    """For which a worker was busy: training, evaluation, probes. NaN if unknown."""
    gradient_evaluations: float
    """NaN if unknown."""
    epochs_done: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """All recorded trials of one workload, space and everything else that decides outcomes."""

    workload: str
    searches: tuple[str, ...]
    """The study's names of the searches that asked for the trials."""
    space: Space
    grid: Mapping[str, int]
    """Points on each axis of a recorded grid search; empty without one."""
    epochs: int
    """Of a whole trial."""
    chance: float
    """Accuracy of guessing: what a sampler is told of a trial that diverged."""
    trials: tuple[RecordedTrial, ...]
    left_out: Counter[str]
    """Proposals that the table does without, by reason."""


def recordings(
    folder: Location, *, search: str | None = None, workload: str | None = None
) -> list[Recording]:
    """Read what a study's searches have recorded, one recording for each workload.

    Args:
        folder: Of one study.
        search: Only proposals of this search of the study.
        workload: Only this one.

    Raises:
        UserError: The folder is no ledger or holds no searches; there is none of this name; a
            workload was searched in several spaces; nothing of it can be used.
    """
    ledger = Ledger(folder)
    ledger.wanted()  # says in one line when this is no results folder
    proposals = ledger.proposals().to_pylist()
    # A population's trials are parts of runs: no table of whole runs holds them.
    rows = [row for row in proposals if row["sampler"] != POPULATION]
    if proposals and not rows:
        raise UserError(f"{folder} holds populations only, whose trials are parts of runs")
    if not rows:
        raise UserError(f"{folder} holds no searches: replay needs the trials of at least one")
    rows = _named(rows, "search", search, folder)
    rows = _named(rows, "workload", workload, folder)
    trials = {row["trial_id"]: row for row in ledger.trials(_COLUMNS).table.to_pylist()}
    searches = ledger.searches()
    current = None if searches is None else {item["search_id"]: item for item in searches}
    by_workload: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_workload.setdefault(row["workload"], []).append(row)
    return [_recording(found, trials, current) for found in by_workload.values()]


def _named(
    rows: list[dict[str, Any]], column: str, name: str | None, folder: Location
) -> list[dict[str, Any]]:
    kept = [row for row in rows if name in (None, row[column])]
    if not kept:
        known = ", ".join(sorted({row[column] for row in rows}))
        raise UserError(f"{folder} has no {column} '{name}'; it has: {known}")
    return kept


def _recording(
    rows: list[dict[str, Any]],
    trials: Mapping[str, Mapping[str, Any]],
    current: Mapping[str, Mapping[str, Any]] | None,
) -> Recording:
    kept: dict[str, RecordedTrial] = {}
    left_out: Counter[str] = Counter()
    wanted = [row for row in rows if _is_current(row, current)]
    if len(wanted) < len(rows):
        left_out[OUTSIDE] = len(rows) - len(wanted)
    definition = _one_definition(wanted) if wanted else {}
    chance = _chance(definition)
    for row in wanted:
        trial = trials.get(row["trial_id"])
        if trial is None:
            left_out[MISSING] += 1
        elif reason := _why_left_out(row, trial):
            left_out[reason] += 1
        else:
            kept[row["trial_id"]] = _recorded(json.loads(row["parameters"]), trial, chance)
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise UserError(f"no trial of the searches on {rows[0]['workload']} can be used: {reasons}")
    grids = (json.loads(text)["grid"] for text in _definitions(wanted))
    return Recording(
        workload=rows[0]["workload"],
        searches=tuple(sorted({row["search"] for row in wanted})),
        space=_in_order(space_from_json(definition["space"]), wanted, current or {}),
        grid=next((grid for grid in grids if grid), {}),
        epochs=definition["epochs"],
        chance=chance,
        trials=tuple(kept[trial_id] for trial_id in sorted(kept)),
        left_out=left_out,
    )


def _one_definition(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what decides the outcomes of all these proposals' trials."""
    functions: dict[str, set[str]] = {}
    for row in rows:
        if not row["search_definition"]:
            raise UserError(f"search '{row['search']}' was recorded without its space; run it anew")
    names = {row["search_definition"]: row["search"] for row in rows}
    for text, name in names.items():
        content = json.loads(text)
        # Neither says where a trial's outcome comes from.
        function = {key: content[key] for key in content if key not in ("grid", "batch")}
        functions.setdefault(canonical_json(function), set()).add(name)
    if len(functions) > 1:
        known = ", ".join(sorted(set().union(*functions.values())))
        raise UserError(
            f"{rows[0]['workload']} was searched in several spaces; choose one with --search: "
            f"{known}"
        )
    (text,) = functions
    definition: dict[str, Any] = json.loads(text)
    return definition


def _in_order(
    space: Space, rows: Iterable[Mapping[str, Any]], current: Mapping[str, Mapping[str, Any]]
) -> Space:
    """Return a space in the order that the study writes: it decides what a sampler draws first."""
    for row in rows:
        names = list(current.get(row["search_id"], {}).get("space") or {})
        if set(names) == set(space):
            return {name: space[name] for name in names}
    return space


def _definitions(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["search_definition"] for row in rows))


def _is_current(row: Mapping[str, Any], current: Mapping[str, Mapping[str, Any]] | None) -> bool:
    """Whether the study still wants a proposal; an old ledger does not say, and all count."""
    return current is None or row["index"] < current.get(row["search_id"], {}).get("trials", 0)


def _chance(definition: Mapping[str, Any]) -> float:
    """Return the accuracy of guessing, as a live search tells it."""
    source = definition.get("workload_settings", {}).get("source") or {}
    return 1 / (source.get("num_classes") or 2)


def _why_left_out(row: Mapping[str, Any], trial: Mapping[str, Any]) -> str | None:
    """Say why a proposal's trial is no part of the table; `None` if it is."""
    status = Status(trial["status"])
    if status in (Status.PRUNED, Status.FAILED):
        return str(status)
    if row["pruner"] is not None:
        return SURVIVED
    scores = (trial["validation_accuracy"], trial["test_accuracy"])
    return WITHOUT_SCORE if status is Status.COMPLETED and None in scores else None


def _recorded(point: Point, trial: Mapping[str, Any], chance: float) -> RecordedTrial:
    is_diverged = Status(trial["status"]) is Status.DIVERGED
    curve = tuple(trial["validation_accuracy_curve"] or ())
    loss, gradients = trial["validation_loss_nats"], trial["gradient_evaluations"]
    seconds = [trial[name] for name in _SECONDS if trial[name] is not None]
    return RecordedTrial(
        point=point,
        is_diverged=is_diverged,
        validation_accuracy=chance if is_diverged else trial["validation_accuracy"],
        validation_loss_nats=math.inf if is_diverged or loss is None else loss,
        test_accuracy=chance if is_diverged else trial["test_accuracy"],
        curve=curve,
        seconds=sum(seconds) if seconds else math.nan,
        gradient_evaluations=math.nan if gradients is None else gradients,
        epochs_done=trial["epochs_done"] or len(curve),
    )
