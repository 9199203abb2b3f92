from tune_metalr.checkpoints import Checkpoints, Interval, files_of
from tune_metalr.store import FolderStore


def test_the_last_state_comes_back(tmp_path):
    checkpoints = Checkpoints(FolderStore(tmp_path))
    assert checkpoints.load("t") is None
    checkpoints.save("t", b"one")
    checkpoints.save("t", b"two")
    assert checkpoints.load("t") == b"two"
    checkpoints.remove("t")
    assert checkpoints.load("t") is None


def test_a_torn_checkpoint_is_no_checkpoint(tmp_path):
    checkpoints = Checkpoints(FolderStore(tmp_path))
    checkpoints.save("t", b"a state")
    path = tmp_path / files_of("t").state
    for damaged in (path.read_bytes()[:-1], b"", b"short"):
        path.write_bytes(damaged)
        assert checkpoints.load("t") is None


def test_only_unfinished_trials_are_kept(tmp_path):
    checkpoints = Checkpoints(FolderStore(tmp_path))
    for name in ("done", "open"):
        checkpoints.save(name, b"state")
        (tmp_path / files_of(name).attempts).write_text("{}")
    (tmp_path / ".writing-ab-x.checkpoint").write_bytes(b"half")
    checkpoints.sweep(finished={"done"})
    assert checkpoints.trial_ids() == ["open"]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interval_is_due_once_it_has_passed():
    assert not Interval(100).is_due()
    due = Interval(0)
    assert due.is_due()
    assert due.is_due()
