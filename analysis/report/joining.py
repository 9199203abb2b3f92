"""Several studies as one: what they share is one, what only has the same name is told apart."""

from collections.abc import Sequence

import pandas as pd

_TRIAL = ["trial_id", "role", "workload", "method", "seed"]


def joined_trials(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Return the trials of several studies.

    A trial that two studies want under one name is one row, that of the ledger which has run it. A
    name that stands for different trials of one seed gets the study's name.

    Args:
        frames: Of `load_trials`, one for each study.
        names: Of the studies.
    """
    if len(frames) == 1:
        return frames[0]
    parts = [frame.assign(study=name) for frame, name in zip(frames, names, strict=True)]
    together = _stacked(parts)
    together = together.sort_values("status", key=lambda s: s.isna(), kind="stable")
    together = together.drop_duplicates(_TRIAL).sort_index(kind="stable")
    cell = together.groupby(["role", "workload", "method", "seed"])["trial_id"]
    clashes = set(together.loc[cell.transform("nunique") > 1, "method"])
    return _told_apart(together, "method", clashes)


def joined_searches(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Return the proposals of several studies; the same search of two ledgers once.

    Args:
        frames: Of `load_searches`, one for each study.
        names: Of the studies.
    """
    if len(frames) == 1:
        return frames[0]
    parts = [frame.assign(study=name) for frame, name in zip(frames, names, strict=True)]
    together = _stacked(parts).drop_duplicates(["search_id", "index", "trial_id"])
    owners = together.groupby(["workload", "search", "sampler", "repeat"])["search_id"]
    clashes = set(together.loc[owners.transform("nunique") > 1, "search"])
    apart = _told_apart(together, "search", clashes)
    twice = apart.duplicated(["search_id", "index"], keep=False)
    # Two ledgers went different ways with one search: each is a search of its own.
    owner = apart["search_id"] + " (" + apart["study"] + ")"
    return apart.assign(search_id=apart["search_id"].where(~twice, owner))


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all parts; one without rows would change the types of the others."""
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True)


def _told_apart(frame: pd.DataFrame, column: str, clashes: set[str]) -> pd.DataFrame:
    named = frame[column] + " (" + frame["study"] + ")"
    return frame.assign(**{column: frame[column].where(~frame[column].isin(list(clashes)), named)})
