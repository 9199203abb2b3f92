"""A table's three forms."""

import csv
import io
import math

from analysis.intervals import Interval
from analysis.matching import NEVER, BudgetToMatch
from analysis.report import table
from analysis.report.table import Column, Row, Table

COLUMNS = (
    Column("method", is_text=True),
    Column("accuracy, %", table.with_ends("accuracy")),
    Column("trials", table.with_ends("trials")),
)


def one(*cells):
    return Table("t", "T", COLUMNS, (Row(cells),))


def test_csv_holds_numbers_with_a_field_each():
    match = BudgetToMatch(NEVER, 5, NEVER, 16, 0)
    made = one(table.text('a "b", c'), table.share(Interval(0.5, 0.4, 0.6)), table.budget(match))
    head, row = csv.reader(io.StringIO(table.to_csv(made)))
    assert head == ["method", "accuracy", "accuracy_low", "accuracy_high",
                    "trials", "trials_low", "trials_high"]  # fmt: skip
    assert row == ['a "b", c', "0.5", "0.4", "0.6", "inf", "5", "inf"]


def test_what_does_not_exist_is_empty_and_never_a_number():
    made = one(table.text("a"), table.share(None), table.budget(None))
    assert table.to_csv(made).splitlines()[1] == "a,,,,,,"
    assert table.share(None).text == "-"
    assert table.share(None).sort_key == ""
    assert table.p_value(math.nan).sort_key == ""
    assert table.p_value(0.25).sort_key == "0.25"


def test_markdown_shows_names_as_they_are():
    made = one(table.text("<script>|*x*\nb"), table.share(None), table.budget(None))
    lines = table.to_markdown(made).splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| \\<script\\>\\|\\*x\\* b |")


def test_a_zero_count_is_left_blank_and_still_sorts():
    assert table.count(0).text == ""
    assert table.count(0).sort_key == "0"
