"""How many of a ledger's runs were made while a method was being designed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tune_metalr.trial import Purpose

COLUMNS = ("trial_id", "workload", "purpose")
"""Columns of the ledger that are counted."""


class DevelopmentRuns(NamedTuple):
    """The recorded trials of one workload on which a method was being designed."""

    workload: str
    recorded: int
    """All trials that were ever recorded on it."""
    development: int
    """Those among them that a development study ran."""
    superseded: int
    """Those among these that the current study does not want: they were looked at all the same."""


def development_runs(
    recorded: Iterable[Mapping[str, Any]], current: Collection[str]
) -> list[DevelopmentRuns]:
    """Count the development runs of each workload that has any, in the order of workloads' names.

    Args:
        recorded: The ledger's rows with `COLUMNS`; a row that tells no purpose is an evaluation.
        current: Ids of the trials that the study wants, those of its searches included.
    """
    tally: dict[str, Counter[str]] = {}
    for row in recorded:
        counts = tally.setdefault(row["workload"], Counter())
        is_development = row["purpose"] == Purpose.DEVELOPMENT
        counts.update(
            recorded=1,
            development=is_development,
            superseded=is_development and row["trial_id"] not in current,
        )
    return [
        DevelopmentRuns(workload, **{name: counts[name] for name in DevelopmentRuns._fields[1:]})
        for workload, counts in sorted(tally.items())
        if counts["development"]
    ]
