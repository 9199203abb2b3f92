"""How much of a data set a study trains on: a name alone would be taken for all of it."""

import json

import pandas as pd


def cut(trials: pd.DataFrame, workload: str) -> str:
    """Return what one run on a workload sees, as '10,000 examples, 3 epochs'.

    Args:
        trials: Of `load_trials`.
        workload: As the study calls it; nothing is told of one without a recorded trial.
    """
    here = trials[trials["workload"] == workload].dropna(subset=["definition"])
    if here.empty:
        return "not run yet"
    definition = json.loads(here["definition"].iloc[0])
    epochs = definition["epochs"]
    told = [_examples(definition["train_examples"]), f"{epochs} epoch{'s' * (epochs > 1)}"]
    if tokens := definition["workload_settings"].get("max_tokens"):
        told.insert(1, f"last {tokens} tokens")
    return ", ".join(told)


def _examples(count: int | None) -> str:
    return "all examples" if count is None else f"{count:,} examples"
