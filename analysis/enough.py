"""Whether a study has enough runs for a claim: one rule, whoever tells it."""

import pandas as pd

from tune_metalr.evidence import SearchIdentity, too_small
from tune_metalr.trial import Role

_IDENTITY = ["search", "workload", "sampler", "pruner"]


def lack_of_runs(trials: pd.DataFrame, searches: pd.DataFrame) -> str | None:
    """Return in one line why a study is too small for a claim; `None` if it is not.

    Of each workload, every method and every winner of a search needs its runs.

    Args:
        trials: Of `load_trials`.
        searches: Of `load_searches`.
    """
    runs = trials[trials["role"].isin([Role.BASELINE, Role.FINAL])]
    seeds = runs.groupby(["workload", "method"])["seed"].nunique()
    repeats = searches.drop_duplicates("search_id")[_IDENTITY]
    names = repeats.astype(object).where(repeats.notna(), None).itertuples(index=False)
    fewest = int(seeds.min()) if len(seeds) else 0
    return too_small(fewest, (SearchIdentity(*name) for name in names))
