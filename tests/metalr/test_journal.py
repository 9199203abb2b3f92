"""A journal keeps every complete line, and goes on after half a one."""

import pytest

from tune_metalr.metalr.meta_training.journal import journal, read_journal


def test_lines_come_back_as_they_were_written(tmp_path) -> None:
    file = tmp_path / "journal"
    assert read_journal(file) == []
    with journal(file) as write:
        write([1, "ä"])
        assert read_journal(file) == [[1, "ä"]]  # at once: the next moment may be the last
        write({"b": None})
    assert read_journal(file) == [[1, "ä"], {"b": None}]


@pytest.mark.parametrize("half", ["", "[2, 0.", "[2]"])
def test_half_a_line_is_dropped(tmp_path, half) -> None:
    file = tmp_path / "journal"
    file.write_text(f"[1]\n{half}")
    assert read_journal(file) == [[1]]
    with journal(file) as write:
        write([3])
    assert file.read_text() == "[1]\n[3]\n"
