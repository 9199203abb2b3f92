"""The table with which a run ends: each method's scores and how many trials they rest on."""

import pandas as pd

from tune_metalr.trial import Status


def summarize(trials: pd.DataFrame) -> pd.DataFrame:
    """Summarise `load_trials` by workload and method, in the study's order.

    Returns:
        One row per workload and method: `wanted`, `completed`, `diverged`, `failed` and
        `missing` trials; mean and standard deviation (n - 1) of `test_accuracy` over completed
        trials, mean `validation_accuracy`, and mean `train_seconds`. Divergence is counted
        beside the means, never averaged into them.
    """
    rows = [
        {"workload": workload, "method": method, **_summary(group)}
        for (workload, method), group in trials.groupby(["workload", "method"], sort=False)
    ]
    return pd.DataFrame(rows)


def _summary(group: pd.DataFrame) -> dict[str, float | int]:
    status = group["status"]
    completed = group[status == Status.COMPLETED]
    return {
        "wanted": len(group),
        "completed": len(completed),
        "diverged": int((status == Status.DIVERGED).sum()),
        "failed": int((status == Status.FAILED).sum()),
        "missing": int(status.isna().sum()),
        "test_accuracy_mean": completed["test_accuracy"].mean(),
        "test_accuracy_sd": completed["test_accuracy"].std(),
        "validation_accuracy_mean": completed["validation_accuracy"].mean(),
        "train_seconds_mean": completed["train_seconds"].mean(),
    }
