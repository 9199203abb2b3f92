"""What ran a study's trials: versions, machines, times; and what all of them cost by role."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from analysis.scores import COST_COLUMNS, device_seconds

VERSION_COLUMNS = (
    "project_version",
    "project_commit",
    "python_version",
    "torch_version",
    "ray_version",
    "optuna_version",
    "cpu_model",
    "precision",
    "threads",
)
TIME_COLUMNS = ("cpu_model", "cpu_seconds", "device", "status", *COST_COLUMNS)
"""Columns of the ledger that `doubtful_times` needs."""

COLUMNS = tuple(
    dict.fromkeys(
        (*VERSION_COLUMNS, *TIME_COLUMNS, "started_utc", "finished_utc",
         "forward_evaluations", "attempts")
    )
)  # fmt: skip
"""Columns of the ledger that provenance needs."""

_BUSY = 1.25


class Recorded(NamedTuple):
    """One thing of which the ledger keeps what it was for each trial."""

    name: str
    values: tuple[tuple[str, int], ...]
    """Value, and the number of recorded trials that have it; the most frequent first."""

    @property
    def is_mixed(self) -> bool:
        """Whether trials differ in it."""
        return len(self.values) > 1


class Spent(NamedTuple):
    """What all recorded trials of one role have cost."""

    role: str
    num_trials: int
    gradient_evaluations: float
    forward_evaluations: float
    """Beyond those of the gradients."""
    device_hours: float
    lost_hours: float
    """Of them, work of lost attempts that was done again."""


def versions(recorded: pd.DataFrame) -> list[Recorded]:
    """Return what the recorded trials ran on, by column.

    Args:
        recorded: Rows with `COLUMNS`; one that was never run is left out.
    """
    ran = recorded[recorded["status"].notna()]
    return [Recorded(name, _counted(ran[name])) for name in VERSION_COLUMNS]


def doubtful_times(*frames: pd.DataFrame) -> Iterator[str]:
    """Yield why seconds, and all that is made of them, may mislead: gradients never do.

    Args:
        frames: Rows with `TIME_COLUMNS`; one that was never run is left out.
    """
    columns = [*TIME_COLUMNS]
    ran = pd.concat([frame.loc[frame["status"].notna(), columns] for frame in frames])
    models = [name for name, _ in _counted(ran["cpu_model"])]
    if len(models) > 1:
        yield (
            f"Trials ran on {len(models)} models of processor ({', '.join(models)}): "
            f"device-seconds mix fast and slow ones; compare gradients."
        )
    # Several threads seldom compute all the time, and a GPU computes beside the processor.
    plain = ran[(ran["threads"] == 1) & ran["device"].isna() & (ran["cpu_seconds"] > 0)]
    held = device_seconds(plain) - plain["lost_seconds"].fillna(0.0)
    ratio = held.sum() / plain["cpu_seconds"].sum() if len(plain) else 1.0
    if ratio > _BUSY:
        yield (
            f"Trials held their CPUs {ratio:.1f} times as long as they computed: other work ran "
            f"beside them, and device-seconds are too many."
        )


def spent_by_role(recorded: pd.DataFrame) -> list[Spent]:
    """Return what the trials of each role have cost, whatever became of them; each counted once."""
    ran = recorded[recorded["status"].notna()].drop_duplicates("trial_id")
    ran = ran.assign(device_seconds=device_seconds(ran))
    return [_spent(str(role), group) for role, group in ran.groupby("role", sort=False)]


def period(recorded: pd.DataFrame) -> tuple[str, str] | None:
    """Return when the first recorded trial began and the last one ended, ISO 8601; else `None`."""
    started, finished = (recorded[name].dropna() for name in ("started_utc", "finished_utc"))
    if started.empty or finished.empty:
        return None
    return str(started.min()), str(finished.max())


def _counted(column: pd.Series) -> tuple[tuple[str, int], ...]:
    told = Counter("not recorded" if pd.isna(value) else str(value) for value in column)
    return tuple(told.most_common())


def _spent(role: str, group: pd.DataFrame) -> Spent:
    def total(name: str) -> float:
        return float(group[name].astype("float64").sum())

    lost = group["lost_seconds"].fillna(0.0) * group["threads"].astype("float64")
    return Spent(
        role=role,
        num_trials=len(group),
        gradient_evaluations=total("gradient_evaluations"),
        forward_evaluations=total("forward_evaluations"),
        device_hours=total("device_seconds") / 3600,
        lost_hours=float(lost.sum()) / 3600,
    )
