"""What a run that was hurt has done to its results, next to an undisturbed one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.cluster_runs import reproducible

Row = Mapping[str, Any]


class Damage(NamedTuple):
    """Faults that a reader, or whoever trusts a row, would fall for."""

    lost: int
    """Trials without a row."""
    doubled: int
    """Rows of the files at the end, beside one for each trial."""
    wrong: int
    """Rows that are not those of the undisturbed run, at the end or ever before; foreign rows; and
    proposals that differ."""


def damage(
    found: Mapping[str, Sequence[Row]],
    right: Mapping[str, Sequence[Row]],
    written: Mapping[str, Sequence[Row]],
) -> Damage:
    """Compare a hurt run with an undisturbed one.

    Args:
        found: Rows and proposals at the end, of all files.
        right: The same of the undisturbed run.
        written: Every row that was ever seen, by the name of its file.
    """
    theirs = {row["trial_id"]: row for row in right["trials"]}
    ours = {row["trial_id"] for row in found["trials"]}
    passed = [row for rows in written.values() for row in rows if row["status"] != "failed"]
    rows = [*found["trials"], *map(reproducible, passed)]
    wrong = {str(row) for row in rows if theirs.get(row["trial_id"]) != row}
    return Damage(
        lost=len(set(theirs) - ours),
        doubled=len(found["trials"]) - len(ours),
        wrong=len(wrong) + (found["proposals"] != right["proposals"]),
    )


def num_written_again(written: Mapping[str, Sequence[Row]]) -> int:
    """Return how many rows workers wrote of trials that had one: no damage, if they are equal."""
    single = [rows for name, rows in written.items() if not name.startswith("segment-")]
    count = Counter(row["trial_id"] for rows in single for row in rows)
    return sum(count.values()) - len(count)
