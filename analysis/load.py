"""From a results folder to pandas: trials with the study's names, proposals with outcomes."""

from collections.abc import Collection

import pandas as pd
import pyarrow as pa

from analysis.choices import AnalysisChoices
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.store import Location, below

_WHOLE_NUMBERS_WITH_NULLS = {pa.int64(): pd.Int64Dtype()}.get

_FROM_THE_STUDY = ("workload", "method", "seed")


def load_trials(
    path: Location, *, superseded: bool = False, columns: Collection[str] | None = None
) -> pd.DataFrame:
    """Return one row per trial of the current study, with its role and the study's names.

    Args:
        path: The results of one study, such as `results/quickstart` or `s3://bucket/quickstart`.
        superseded: Return the recorded trials that neither the current study nor a search of it
            wants instead. They have no role.
        columns: Of the ledger, beside those that identify a trial; all, if not given. Curves
            are most of what there is to read.

    Returns:
        The ledger's columns, then `role` and `target_accuracy`. A trial that is not recorded
        has a row whose `status` is null, so that nothing is missing unseen. Metrics that do
        not exist are null.

    Raises:
        UserError: The folder holds no results, or a later version's.
    """
    ledger = Ledger(path)
    names = None if columns is None else {*columns, *_FROM_THE_STUDY}
    wanted, trials = _frame(ledger.wanted()), _frame(ledger.trials(names).table)
    if superseded:
        current = {*wanted["trial_id"], *ledger.current_proposals()["trial_id"].to_pylist()}
        outside = trials[~trials["trial_id"].isin(current)]
        return outside.reset_index(drop=True)
    # The study's names hold: the same trial may have been run under another one.
    recorded = trials.drop(columns=list(_FROM_THE_STUDY))
    joined = wanted.merge(recorded, on="trial_id", how="left", validate="many_to_one")
    order = [*trials.columns, "role", "target_accuracy"]
    return joined[order]


def load_searches(path: Location, *, columns: Collection[str] | None = None) -> pd.DataFrame:
    """Return one row per proposal, in the order of asking, joined to its trial's outcome.

    Proposals of searches that the current study does not have, or beyond its number of trials, are
    left out.

    Args:
        path: The folder of one study.
        columns: Of the ledger's trials, beside those that identify a trial; all, if not given.

    Returns:
        The columns of a proposal, then those of the trial that it points to. A proposal whose
        trial is not recorded has null there.

    Raises:
        UserError: The folder holds no results, or a file of them is damaged.
    """
    ledger = Ledger(path)
    ledger.wanted()  # says in one line when this is no results folder
    names = None if columns is None else {*columns, "workload"}
    trials = _frame(ledger.trials(names).table)
    return _frame(ledger.current_proposals()).merge(
        trials.drop(columns=["workload"]), on="trial_id", how="left", validate="many_to_one"
    )


def load_choices(path: Location) -> AnalysisChoices:
    """Return how the study wants its results to be compared; the defaults for an old ledger.

    Raises:
        UserError: What is recorded is unknown or out of its range.
    """
    try:
        return AnalysisChoices().changed(**Ledger(path).analysis())
    except TypeError as error:
        raise UserError(
            f"{below(path, 'run.json')} says in a way unknown to this version how to compare "
            f"results; run the study again"
        ) from error


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=_WHOLE_NUMBERS_WITH_NULLS)
    return frame
