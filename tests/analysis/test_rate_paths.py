"""Learning-rate paths: read at even shares of training, summarised over runs."""

import numpy as np
import pandas as pd
import pytest

from analysis.rate_paths import rate_paths, resampled


def frame(*rows):
    names = ["workload", "method", "role", "learning_rates"]
    return pd.DataFrame(rows, columns=names)


def test_a_path_is_read_from_its_first_step_to_its_last():
    path = np.arange(1.0, 2001.0)
    rates = resampled(path, 2000, 5)
    assert rates[0] == 1.0
    assert rates[-1] == 2000.0
    assert np.all(np.diff(rates) > 0)


def test_after_the_end_of_a_run_that_broke_off_there_is_no_rate():
    rates = resampled(np.full(50, 0.1), 100, 11)
    assert rates[:5] == pytest.approx(0.1)
    assert np.isnan(rates[5:]).all()


def test_the_median_and_the_spread_are_over_runs():
    rows = [("w", "m", "baseline", np.full(10, rate)) for rate in (0.1, 0.2, 0.3)]
    (paths,) = rate_paths(frame(*rows))
    assert paths.num_runs == 3
    assert paths.median == pytest.approx(0.2)
    assert paths.low == pytest.approx(0.12)
    assert paths.high == pytest.approx(0.28)
    assert (paths.progress[0], paths.progress[-1]) == (0.0, 1.0)


def test_a_short_run_takes_part_until_its_end():
    long, short = np.full(100, 0.1), np.full(50, 0.3)
    (paths,) = rate_paths(frame(("w", "m", "baseline", long), ("w", "m", "baseline", short)))
    assert paths.median[0] == pytest.approx(0.2)
    assert paths.median[-1] == pytest.approx(0.1)


def test_trials_of_searches_and_trials_without_a_path_are_left_out():
    path = np.full(4, 0.1)
    found = rate_paths(
        frame(
            ("w", "a", "search", path), ("w", "b", "baseline", None), ("w", "c", "final", path),
            ("w", "d", "baseline", np.array([])),
        )
    )  # fmt: skip
    assert [paths.method for paths in found] == ["c"]
