import shutil

import pytest

from tune_metalr.ledger import Ledger
from tune_metalr.runner import _absolute
from tune_metalr.storage import remove_scratch, write_whole
from tune_metalr.store import FolderStore


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


def test_a_mount_that_is_gone_is_not_written_under(tmp_path):
    root = tmp_path / "mount" / "study"
    root.mkdir(parents=True)
    trials = FolderStore(root, anchor=root).within("trials")
    trials.write("a", b"seen")
    shutil.rmtree(tmp_path / "mount")
    with pytest.raises(OSError, match="is gone from this machine") as caught:
        trials.write("b", b"hidden")
    assert caught.value.filename == str(root)
    assert not root.exists()


def test_workers_write_nothing_under_a_mount_that_is_gone(tmp_path):
    (tmp_path / "study").mkdir()
    store = _absolute(FolderStore(tmp_path / "study"))
    (tmp_path / "study").rmdir()
    with pytest.raises(OSError, match="is gone"):
        Ledger(store).unfinished.write("a", b"")
