"""Searches as a ledger holds them: what was proposed, what was told, what the trials came to."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.proposals import ProposalState
from tune_metalr.space import Point, Space, space_from_json


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RecordedProposal:
    """A proposal, and the trial that it points to."""

    index: int
    """Position in its search, from 0."""
    point: Point
    trial_id: str
    state: ProposalState | None
    """What its sampler was told; `None` if it was told nothing yet."""
    told_value: float | None
    """Validation accuracy that its sampler was told."""
    outcome: Mapping[str, Any] | None
    """The trial's columns in the ledger, those that were asked for; `None` for no such trial."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RecordedSearch:
    """A search with its proposals, in the order of asking: at least one."""

    search_id: str
    name: str
    """The study's."""
    workload: str
    sampler: str
    pruner: str | None
    repeat: int
    space: Space
    """From which all its proposals were made, whatever the study has become since."""
    proposals: tuple[RecordedProposal, ...]


def read_searches(ledger: Ledger, columns: Collection[str]) -> list[RecordedSearch]:
    """Return the current study's searches, in its order, as far as they were begun.

    Args:
        ledger: Of one study.
        columns: Of the ledger's trials, for `RecordedProposal.outcome`.

    Raises:
        UserError: The folder is no ledger or a damaged one, or no search was begun in it.
    """
    ledger.wanted()  # says in one line when this is no results folder
    rows = _current_rows(ledger)
    if not rows:
        raise UserError(
            f"{ledger.location} holds no proposals: its study has no 'searches', or none was begun"
        )
    trials = ledger.trials(columns).table.select(sorted({"trial_id", *columns})).to_pylist()
    outcomes = {row["trial_id"]: row for row in trials}
    return [_search(search_rows, outcomes) for search_rows in rows.values()]


def _current_rows(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """Return the proposals' rows by search, without those that the study no longer wants."""
    searches = ledger.searches() or ()
    rows: dict[str, list[dict[str, Any]]] = {search["search_id"]: [] for search in searches}
    for row in ledger.current_proposals().to_pylist():
        rows.setdefault(row["search_id"], []).append(row)
    return {search_id: found for search_id, found in rows.items() if found}


def _search(
    rows: list[dict[str, Any]], outcomes: Mapping[str, Mapping[str, Any]]
) -> RecordedSearch:
    first = rows[0]
    definition = json.loads(first["search_definition"] or "{}")
    return RecordedSearch(
        search_id=first["search_id"],
        name=first["search"],
        workload=first["workload"],
        sampler=first["sampler"],
        pruner=first["pruner"],
        repeat=first["repeat"],
        space=space_from_json(definition.get("space", {})),
        proposals=tuple(_proposal(row, outcomes.get(row["trial_id"])) for row in rows),
    )


def _proposal(row: Mapping[str, Any], outcome: Mapping[str, Any] | None) -> RecordedProposal:
    return RecordedProposal(
        index=row["index"],
        point=json.loads(row["parameters"]),
        trial_id=row["trial_id"],
        state=ProposalState(row["state"]) if row["state"] else None,
        told_value=row["told_value"],
        outcome=outcome,
    )
