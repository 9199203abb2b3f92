"""Two ledgers against each other, paired by trial: what changed between two runs of one study."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.arrays import FloatArray
from analysis.effects import probability_of_improvement
from analysis.intervals import Interval, mean_interval
from analysis.scores import COST_COLUMNS, SCORE_COLUMNS, device_seconds, floors, with_scores
from analysis.stats import holm, sign_flip_p_value
from tune_metalr.errors import UserError
from tune_metalr.trial import Role

COLUMNS = (*SCORE_COLUMNS, *COST_COLUMNS, "validation_accuracy")
"""Columns of the ledger that the comparison needs."""

_KEY = ["workload", "method", "seed"]
_RESULT = ["status", "test_accuracy", "validation_accuracy", "gradient_evaluations"]


class CellDifference(NamedTuple):
    """One method on one workload, in both ledgers."""

    workload: str
    method: str
    num_pairs: int
    """Seeds that both have run."""
    num_first_only: int
    num_second_only: int
    num_same_trial: int
    """Pairs that are one trial: nothing that decides the outcome differs."""
    num_irreproducible: int
    """Of those, pairs whose recorded results differ all the same."""
    first_score: float | None
    second_score: float | None
    difference: Interval | None
    """Mean of second - first over pairs."""
    sign_flip_p: float
    holm_p: float
    """Over all cells; cells of one and the same trials are no hypotheses and are left out."""
    probability_of_improvement: float | None
    time_ratio: float | None
    """Median over pairs of device-seconds, second over first."""


def compare_ledgers(first: pd.DataFrame, second: pd.DataFrame) -> list[CellDifference]:
    """Compare the untuned methods of two frames of `load_trials`, by workload, method and seed.

    Raises:
        UserError: They have no trial in common.
    """
    floor = floors(first, second)
    sides = [_prepared(frame, floor) for frame in (first, second)]
    joined = sides[0].merge(sides[1], on=_KEY, how="outer", suffixes=("_1", "_2"), sort=False)
    ran = joined["status_1"].notna() & joined["status_2"].notna()
    if not ran.any():
        raise UserError(
            "the two ledgers have no trial in common: no workload, method and seed that both ran"
        )
    cells = [
        _cell(str(workload), str(method), group.sort_values("seed"))
        for (workload, method), group in joined.groupby(["workload", "method"], sort=False)
    ]
    adjusted = holm([cell.sign_flip_p for cell in cells if _is_hypothesis(cell)])
    p_values = iter(adjusted)
    return [
        cell._replace(holm_p=float(next(p_values))) if _is_hypothesis(cell) else cell
        for cell in cells
    ]


def _is_hypothesis(cell: CellDifference) -> bool:
    return cell.num_pairs > cell.num_same_trial


def _prepared(frame: pd.DataFrame, floor: dict[str, float]) -> pd.DataFrame:
    shown = with_scores(frame[frame["role"] == Role.BASELINE], floor)
    shown = shown.assign(device_seconds=device_seconds(shown))
    if shown.duplicated(_KEY).any():
        raise UserError("a ledger has two trials of one workload, method and seed")
    return shown[[*_KEY, "trial_id", "score", "device_seconds", *_RESULT]]


def _cell(workload: str, method: str, group: pd.DataFrame) -> CellDifference:
    ran = group["status_1"].notna(), group["status_2"].notna()
    pairs = group[ran[0] & ran[1]]
    same = pairs[pairs["trial_id_1"] == pairs["trial_id_2"]]
    first, second = (pairs[f"score_{side}"].to_numpy(dtype=np.float64) for side in (1, 2))
    times = (pairs["device_seconds_2"] / pairs["device_seconds_1"]).dropna()
    some = len(pairs) > 0
    return CellDifference(
        workload=workload,
        method=method,
        num_pairs=len(pairs),
        num_first_only=int((ran[0] & ~ran[1]).sum()),
        num_second_only=int((ran[1] & ~ran[0]).sum()),
        num_same_trial=len(same),
        num_irreproducible=int(_differs(same).sum()),
        first_score=float(first.mean()) if some else None,
        second_score=float(second.mean()) if some else None,
        difference=_interval(second - first) if some else None,
        sign_flip_p=_p_value(second - first) if some else np.nan,
        holm_p=np.nan,
        probability_of_improvement=probability_of_improvement(second, first) if some else None,
        time_ratio=float(times.median()) if len(times) else None,
    )


def _differs(same: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return for each pair whether any recorded result differs; two nulls are equal."""
    different = np.zeros(len(same), dtype=bool)
    for name in _RESULT:
        left, right = same[f"{name}_1"], same[f"{name}_2"]
        different |= ((left != right).fillna(True) & ~(left.isna() & right.isna())).to_numpy(
            dtype=bool
        )
    return different


def _interval(differences: FloatArray) -> Interval:
    return mean_interval(differences, np.random.default_rng(0))


def _p_value(differences: FloatArray) -> float:
    return sign_flip_p_value(differences, rng=np.random.default_rng(0))
