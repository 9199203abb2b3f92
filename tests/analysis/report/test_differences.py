"""The data of the figure of differences."""

import pytest

from analysis.choices import AnalysisChoices
from analysis.comparison import compare_methods
from analysis.load import load_trials
from analysis.report.differences import difference_figures
from tests.ledgers import MadeUpLedger


def test_rows_are_the_comparisons_in_points_the_highest_first(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method("adam", [0.50, 0.51, 0.52])
    ledger.add_method("worse", [0.40, 0.42, 0.41])
    ledger.add_method("better", [0.60, 0.60, 0.61])
    ledger.add_method("missing", [None, None, None])
    family = compare_methods(load_trials(ledger.finish()), AnalysisChoices())
    (figure,) = difference_figures(family.comparisons, margin_on=lambda _: 0.01, reference="adam")
    assert figure.names == ["better", "worse"]
    assert figure.margin_points == 1
    by_name = {each.method: each for each in family.comparisons}
    for row in figure.rows:
        assert row.difference_points == pytest.approx(
            [100 * value for value in by_name[row.method].difference]
        )
    assert (
        difference_figures([by_name["missing"]], margin_on=lambda _: 0.01, reference="adam") == ()
    )
