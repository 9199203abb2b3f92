"""How far a study is: each cell counted, each failure named."""

from collections import Counter
from typing import NamedTuple

from tune_metalr.ledger import Ledger
from tune_metalr.trial import MISSING, Status

SUPERSEDED = "superseded"


class Cell(NamedTuple):
    """One workload and method of a study."""

    workload: str
    method: str
    wanted: int
    counts: Counter[str]
    """Trials by status; `missing` have none, `superseded` are of an earlier form of the study."""


class Failure(NamedTuple):
    """A reason for which trials failed."""

    reason: str
    num_trials: int
    method: str
    """The first method that it happened to."""


class StudyStatus(NamedTuple):
    """The whole study."""

    cells: list[Cell]
    failures: list[Failure]
    damaged: dict[str, str]
    """Files of the ledger that cannot be read: name -> what is wrong."""

    @property
    def num_wanted(self) -> int:
        """Trials of the current study."""
        return sum(cell.wanted for cell in self.cells)

    @property
    def num_without_result(self) -> int:
        """Wanted trials that are missing or failed."""
        return sum(cell.counts[MISSING] + cell.counts[Status.FAILED] for cell in self.cells)


def study_status(ledger: Ledger) -> StudyStatus:
    """Compare what the study wants with what is recorded.

    Raises:
        UserError: The folder holds no results.
    """
    wanted = ledger.wanted().to_pylist()
    columns = ["trial_id", "status", "error", "workload", "method"]
    rows = ledger.trials(columns)
    recorded = {row["trial_id"]: row for row in rows.table.select(columns).to_pylist()}
    cells: dict[tuple[str, str], Cell] = {}
    failures: dict[str, Failure] = {}
    for item in wanted:
        row = recorded.get(item["trial_id"])
        _count(cells, item["workload"], item["method"], row["status"] if row else MISSING, wanted=1)
        if row and row["status"] == Status.FAILED:
            reason = row["error"] or "no reason recorded"
            earlier = failures.get(reason, Failure(reason, 0, item["method"]))
            failures[reason] = earlier._replace(num_trials=earlier.num_trials + 1)
    current = {item["trial_id"] for item in wanted}
    for trial_id, row in recorded.items():
        if trial_id not in current:
            _count(cells, row["workload"], row["method"], SUPERSEDED, wanted=0)
    return StudyStatus(list(cells.values()), list(failures.values()), rows.damaged)


def _count(
    cells: dict[tuple[str, str], Cell], workload: str, method: str, what: str, *, wanted: int
) -> None:
    cell = cells.get((workload, method)) or Cell(workload, method, 0, Counter())
    cell.counts[what] += 1
    cells[workload, method] = cell._replace(wanted=cell.wanted + wanted)
