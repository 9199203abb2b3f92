"""Generated parts of pages."""

import pytest

from analysis.publishing.blocks import with_block
from tune_metalr.errors import UserError

PAGE = (
    "# Title\n\n<!-- begin first: made by a command -->\nold\n\nolder\n<!-- end first -->\nrest\n"
)


def test_only_the_part_of_that_name_is_replaced():
    page = with_block(PAGE, "first", r"new \1")
    assert page.startswith("# Title\n\n<!-- begin first: made by a command -->\nnew \\1\n<!-- end")
    assert page.endswith("<!-- end first -->\nrest\n")
    assert with_block(page, "first", "old\n\nolder") == PAGE


def test_a_name_that_begins_another_one_is_told_apart():
    longer = PAGE.replace("first", "first table")
    both = with_block(longer + PAGE, "first", "new")
    assert both == longer + with_block(PAGE, "first", "new")


@pytest.mark.parametrize("text", ["no part", PAGE + PAGE], ids=["none", "two"])
def test_a_page_without_one_such_part_is_refused(text):
    with pytest.raises(UserError, match="parts 'begin first' to 'end first', not one"):
        with_block(text, "first", "new")
