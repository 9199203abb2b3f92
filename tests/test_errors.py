"""What users are told of an exception."""

import pytest

from tune_metalr.errors import first_line, nearest, without_secrets

LINES = {
    "one line": (ValueError("no such file"), "no such file"),
    "more lines": (RuntimeError("the disk\nis gone"), "the disk"),
    "nothing": (KeyboardInterrupt(), "KeyboardInterrupt"),
}


@pytest.mark.parametrize(("error", "line"), LINES.values(), ids=LINES)
def test_the_first_line_is_told(error, line):
    assert first_line(error) == line


def test_where_the_kind_is_told_already_silence_is_named():
    assert first_line(RuntimeError(), "no reason given") == "no reason given"
    assert first_line(RuntimeError("full"), "no reason given") == "full"


def test_the_nearest_word_is_told_or_all_of_them():
    assert nearest("cosin", ["linear", "cosine"]) == "; did you mean 'cosine'?"
    assert nearest("step", ["linear", "cosine"]) == "; known: cosine, linear"


def test_of_a_module_only_a_near_name_is_told():
    assert nearest("Adamm", ["SGD", "Adam"], module="optim") == "; did you mean 'optim.Adam'?"
    assert nearest("Lion", ["SGD", "Adam"], module="optim") == ""


def test_a_url_is_told_without_who_asks():
    told = 'cannot reach "https://user:word@host:9000/a" nor s3://bucket/x for a@b'
    assert without_secrets(told) == 'cannot reach "https://host:9000/a" nor s3://bucket/x for a@b'
