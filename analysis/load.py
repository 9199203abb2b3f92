"""From a results folder to pandas: trials with the study's names, proposals with outcomes."""

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tune_metalr.ledger import Ledger

_WHOLE_NUMBERS_WITH_NULLS = {pa.int64(): pd.Int64Dtype()}.get


def load_trials(path: str | os.PathLike[str], *, superseded: bool = False) -> pd.DataFrame:
    """Return one row per trial of the current study, with its role and the study's names.

    Args:
        path: The folder of one study, such as `results/quickstart`.
        superseded: Return the recorded trials that the current study does not want instead.
            They have no role.

    Returns:
        The ledger's columns, then `role` and `target_accuracy`. A trial that is not recorded
        has a row whose `status` is null, so that nothing is missing unseen. Metrics that do
        not exist are null.

    Raises:
        UserError: The folder holds no results, or a later version's.
    """
    ledger = Ledger(Path(path))
    wanted, trials = _frame(ledger.wanted()), _frame(ledger.trials().table)
    if superseded:
        outside = trials[~trials["trial_id"].isin(wanted["trial_id"])]
        return outside.reset_index(drop=True)
    # The study's names hold: the same trial may have been run under another one.
    recorded = trials.drop(columns=["workload", "method", "seed"])
    joined = wanted.merge(recorded, on="trial_id", how="left", validate="many_to_one")
    order = [*trials.columns, "role", "target_accuracy"]
    return joined[order]


def load_searches(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return one row per proposal, in the order of asking, joined to its trial's outcome.

    Args:
        path: The folder of one study.

    Returns:
        The columns of a proposal, then those of the trial that it points to. A proposal whose
        trial is not recorded has null there.

    Raises:
        UserError: The folder holds no results, or a file of them is damaged.
    """
    ledger = Ledger(Path(path))
    ledger.wanted()  # says in one line when this is no results folder
    proposals, trials = _frame(ledger.proposals()), _frame(ledger.trials().table)
    return proposals.merge(
        trials.drop(columns=["workload"]), on="trial_id", how="left", validate="many_to_one"
    )


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=_WHOLE_NUMBERS_WITH_NULLS)
    return frame
