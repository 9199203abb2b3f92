"""What the page's script is given to draw."""

import json

from analysis.report.charts import chart
from analysis.report.lines import Panel, line
from analysis.report.styles import styles


def test_numbers_are_short_and_gaps_are_null():
    series = line("m", [1, 2], [float("nan"), 0.123456789], low=[0.1, 0.1], high=[0.2, 0.2])
    made = chart(Panel("t", "x", "y", (series,), is_log_y=True), styles(["other", "m"]))
    assert made["series"][0]["y"] == [None, 0.12346]
    assert made["series"][0]["low"] == [0.1, 0.1]
    assert made["series"][0]["method"] == 1
    assert made["logY"]
    json.dumps(made, allow_nan=False)


def test_a_line_without_a_band_says_nothing_of_one():
    made = chart(Panel("t", "x", "y", (line("m", [1], [1]),)), styles(["m"]))
    assert "low" not in made["series"][0]
