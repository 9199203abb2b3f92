import pytest

from tune_metalr.storage import remove_scratch, write_whole


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    write_whole(path, b"two", durable=False)
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"one")
    with pytest.raises(TypeError):
        write_whole(path, "not bytes")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_removed(tmp_path):
    (tmp_path / ".writing-ab-file").write_bytes(b"half")
    (tmp_path / "file").write_bytes(b"whole")
    remove_scratch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
