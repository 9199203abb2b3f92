"""Searches as arrays: what selects, what is read, what it cost, in the order of proposing."""

import json
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.arrays import FloatArray
from analysis.best_of_n import selection_ranks
from analysis.scores import COST_COLUMNS, SCORE_COLUMNS, device_seconds, with_scores
from tune_metalr.errors import UserError
from tune_metalr.evidence import SearchIdentity
from tune_metalr.trial import MISSING, Role, Status, canonical_json

COLUMNS = (*SCORE_COLUMNS, *COST_COLUMNS, "validation_accuracy", "validation_loss_nats")
"""Columns of the ledger that searches need."""

_POPULATION_SAMPLER = "pbt"


class TunedBaseline(NamedTuple):
    """A sampler on one search space and workload, all its repeats.

    Arrays have shape (repeats, n). Trials of independent draws are all exchangeable and are put
    into one row.
    """

    workload: str
    search: str
    sampler: str
    pruner: str | None
    num_repeats: int
    """That have any result; without one, the arrays are empty."""
    lengths: tuple[int, ...]
    """Trials of each repeat that could be used; 0 for a repeat that has no result yet."""
    counts: Counter[str]
    """Proposals by status of their trial; those left out of the arrays included."""
    selection: FloatArray
    """Ranks of validation accuracy, then loss; 0 for a trial without a score."""
    deployed: FloatArray
    """Test accuracy of the very model that a trial made; the floor without one."""
    configuration: FloatArray
    """Mean test accuracy of the trial's configuration on fresh seeds where it was run again, else
    that of the trial."""
    was_rerun: FloatArray
    """1 where `configuration` rests on fresh seeds, else 0."""
    gradient_evaluations: FloatArray | None
    """`None` if no trial's cost is known."""
    device_seconds: FloatArray | None

    @property
    def is_independent(self) -> bool:
        """Whether trials are independent draws, so that any n of them are a search of n."""
        return self.identity.is_independent

    @property
    def is_population(self) -> bool:
        """Whether trials are rounds, each going on from an earlier one.

        Each makes a model of its own, which can be selected, and is charged for its round alone:
        what was spent until then is the sum. Only as numbers of runs, trials mean nothing.
        """
        return self.sampler == _POPULATION_SAMPLER

    @property
    def label(self) -> str:
        """The study's name, with what proposes and what stops."""
        return self.identity.label

    @property
    def identity(self) -> SearchIdentity:
        """What its repeats have in common."""
        return SearchIdentity(self.search, self.workload, self.sampler, self.pruner)

    @property
    def num_trials(self) -> int:
        """Trials in the arrays."""
        return int(self.selection.size)


def tuned_baselines(
    searches: pd.DataFrame, trials: pd.DataFrame, floor: dict[str, float]
) -> list[TunedBaseline]:
    """Return the tuned baselines of a study.

    Args:
        searches: Of `load_searches`.
        trials: Of `load_trials`: finals and baselines tell what a configuration scores on fresh
            seeds. The last round of a lineage has the configuration of the whole run.
        floor: What a trial without a score counts as, by workload.

    Raises:
        UserError: A search has two proposals of one index.
    """
    twice = searches.duplicated(["search_id", "index"])
    if twice.any():
        row = searches[twice].iloc[0]
        raise UserError(
            f"search '{row['search_id']}' has two proposals of index {row['index']}; delete its "
            f"file under proposals/ and run the study again"
        )
    scored = with_scores(searches, floor)
    fresh = _fresh_scores(with_scores(trials, floor))
    scored = scored.assign(
        device_seconds=device_seconds(scored),
        fresh_score=[fresh.get(configuration, np.nan) for configuration in _configurations(scored)],
    )
    groups = scored.groupby(["workload", "search", "sampler", "pruner"], sort=False, dropna=False)
    return [_baseline(group.sort_values(["search_id", "index"])) for _, group in groups]


def selection_of(rows: pd.DataFrame) -> FloatArray:
    """Return what selects among trials, shape (rows,); only a completed one has a score."""
    scored = rows[["validation_accuracy", "validation_loss_nats"]].where(
        rows["status"] == Status.COMPLETED
    )
    accuracy, loss = scored.to_numpy(dtype=np.float64, na_value=np.nan).T
    return selection_ranks(accuracy, loss)


def _baseline(group: pd.DataFrame) -> TunedBaseline:
    """Return all repeats of one sampler on one space and workload."""
    workload, search, sampler, pruner = (
        None if pd.isna(name) else str(name)
        for name in group[["workload", "search", "sampler", "pruner"]].iloc[0]
    )
    independent = SearchIdentity(str(search), str(workload), str(sampler), pruner).is_independent
    repeats = [
        # Any independent trial could have been asked first: one that is missing leaves no gap.
        repeat[repeat["status"].notna()] if independent else _recorded(repeat)
        for _, repeat in group.groupby("search_id", sort=True)
    ]
    lengths = tuple(len(repeat) for repeat in repeats)
    begun = [repeat for repeat in repeats if len(repeat)] or repeats[:1]
    shortest = min(len(repeat) for repeat in begun)
    used = [pd.concat(begun)] if independent else [repeat.iloc[:shortest] for repeat in begun]
    rows = pd.concat(used)
    shape = (len(used), len(used[0]))

    def array(values: pd.Series) -> FloatArray:
        return values.to_numpy(dtype=np.float64).reshape(shape)

    completed = rows["status"] == Status.COMPLETED
    fresh = rows["fresh_score"].where(completed)  # what diverged is never selected
    gradients = _every_cost(rows["gradient_evaluations"])
    seconds = _every_cost(rows["device_seconds"])
    return TunedBaseline(
        workload=str(workload),
        search=str(search),
        sampler=str(sampler),
        pruner=pruner,
        num_repeats=sum(length > 0 for length in lengths),
        lengths=lengths,
        counts=Counter(str(status) for status in group["status"].fillna(MISSING)),
        selection=selection_of(rows).reshape(shape),
        deployed=array(rows["score"]),
        configuration=array(fresh.fillna(rows["score"])),
        was_rerun=array(fresh.notna()),
        gradient_evaluations=None if gradients is None else array(gradients),
        device_seconds=None if seconds is None else array(seconds),
    )


def _recorded(repeat: pd.DataFrame) -> pd.DataFrame:
    """Return the proposals up to the first one whose trial has not ended."""
    missing = np.flatnonzero(repeat["status"].isna().to_numpy())
    return repeat.iloc[: missing[0]] if len(missing) else repeat


def _every_cost(costs: pd.Series) -> pd.Series | None:
    """Return every trial's cost; one that left none is charged the mean of the others.

    `None` if no trial left any: all broke before their first step.
    """
    known = costs.astype("float64")
    return known.fillna(known.mean()) if known.sum() > 0 else None


def _fresh_scores(trials: pd.DataFrame) -> dict[str, float]:
    """Return the mean score over fresh seeds of each configuration."""
    rerun = trials[(trials["role"] != Role.SEARCH) & trials["score"].notna()]
    scores: dict[str, list[float]] = {}
    for configuration, score in zip(_configurations(rerun), rerun["score"], strict=True):
        scores.setdefault(configuration, []).append(score)
    return {
        configuration: float(np.mean(sorted(values))) for configuration, values in scores.items()
    }


def _configurations(frame: pd.DataFrame) -> list[str]:
    """Return for each row what its trial trains, but for the seed; '' if it was not run."""
    return [_configuration(text) if isinstance(text, str) else "" for text in frame["definition"]]


def _configuration(definition: str) -> str:
    content = json.loads(definition)
    del content["seed"]
    content.pop("inherited_epochs", None)
    return canonical_json(content)
