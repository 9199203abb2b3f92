"""Everything that a report reads: the ledgers of one study, or of several, joined."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis import (
    catching_up,
    comparison,
    development,
    provenance,
    reaching,
    sensitivity,
    speed,
    summary,
)
from analysis.choices import AnalysisChoices
from analysis.development import DevelopmentRuns, development_runs
from analysis.load import load_choices, load_searches, load_trials
from analysis.rate_paths import COLUMNS as PATH_COLUMNS
from analysis.rate_paths import RatePaths, rate_paths
from analysis.replayed import ReplayedCurve, replayed_curves
from analysis.report.joining import joined_searches, joined_trials
from tune_metalr.ledger import Ledger
from tune_metalr.store import Location, name_of

_COLUMNS = frozenset(
    {
        *catching_up.COLUMNS,
        *comparison.COLUMNS,
        *provenance.COLUMNS,
        *reaching.COLUMNS,
        *sensitivity.COLUMNS,
        *speed.COLUMNS,
        *summary.COLUMNS,
        "controller",
        "error",
        "steps",
    }
)


class StudyData(NamedTuple):
    """What is recorded, as the study names it."""

    name: str
    trials: pd.DataFrame
    """Of `load_trials`, all folders."""
    searches: pd.DataFrame
    """Of `load_searches`, all folders."""
    paths: list[RatePaths]
    replayed: list[ReplayedCurve]
    choices: AnalysisChoices
    """Of the first folder."""
    wanted_proposals: int
    """Trials that the study's searches are to propose; as many as there are if it is not told."""
    awaited_winner_runs: int
    """Runs of winners that no search has yet."""
    development: list[DevelopmentRuns]
    damaged: dict[str, str]
    """Files that cannot be read: name -> what is wrong."""
    num_superseded: int
    """Recorded trials that the current study does not want."""
    commands: tuple[str, ...]
    """That complete the studies."""
    studies: tuple[str, ...]
    """The YAML of each."""


def load_study_data(folders: Sequence[Location]) -> StudyData:
    """Read the ledgers of one study or of several.

    Raises:
        UserError: A folder holds no results, or a file of proposals is damaged.
    """
    ledgers = [Ledger(folder) for folder in folders]
    names = [name_of(folder) for folder in folders]
    trials = joined_trials([load_trials(f, columns=_COLUMNS) for f in folders], names)
    proposals = [load_searches(f, columns=_COLUMNS) for f in folders]
    searches = joined_searches(proposals, names)
    recorded = [ledger.trials(development.COLUMNS) for ledger in ledgers]
    rows = [row for each in recorded for row in each.table.select(development.COLUMNS).to_pylist()]
    current = {*trials["trial_id"], *searches["trial_id"]}
    return StudyData(
        name=" + ".join(names),
        trials=trials,
        searches=searches,
        paths=_paths(folders, names),
        replayed=[curve for folder in folders for curve in replayed_curves(folder)],
        choices=load_choices(folders[0]),
        wanted_proposals=sum(map(_wanted_proposals, ledgers)),
        awaited_winner_runs=sum(map(_awaited_winner_runs, ledgers, proposals)),
        development=development_runs(rows, current),
        damaged={name: why for each in recorded for name, why in each.damaged.items()},
        num_superseded=len({row["trial_id"] for row in rows} - current),
        commands=tuple(shlex.join(ledger.command()) for ledger in ledgers),
        studies=tuple(ledger.study_text() for ledger in ledgers),
    )


def _paths(folders: Sequence[Location], names: list[str]) -> list[RatePaths]:
    """Return the paths; whole ones are most of a ledger, and are dropped at once."""
    frames = [load_trials(folder, columns=(*PATH_COLUMNS, "definition")) for folder in folders]
    return rate_paths(joined_trials(frames, names))


def _wanted_proposals(ledger: Ledger) -> int:
    searches = ledger.searches()
    if searches is None:
        return len(ledger.proposals())
    return sum(int(search["trials"]) for search in searches)


def _awaited_winner_runs(ledger: Ledger, proposals: pd.DataFrame) -> int:
    """Return how many runs winners will have, of searches that are not over."""
    ended = proposals[proposals["status"].notna()].groupby("search_id").size().to_dict()
    return sum(
        int(search["seeds"]) * len(search["final_methods"])
        for search in ledger.searches() or ()
        if ended.get(search["search_id"], 0) < int(search["trials"])
    )
