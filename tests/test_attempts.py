import os
import time

import pytest

from tune_metalr.attempts import Attempts, attempt, read_attempts


@pytest.fixture
def files(tmp_path):
    return tmp_path / "t.attempts", tmp_path / "t.checkpoint"


def test_the_first_attempt_has_lost_nothing(files):
    with attempt(*files) as attempts:
        assert attempts.number == 1
        assert attempts.lost_seconds == 0


def test_work_after_the_last_checkpoint_of_a_killed_attempt_is_lost(files):
    path, checkpoint = files
    with attempt(path, checkpoint) as first:
        pass
    began = first.began_unix_seconds
    checkpoint.write_bytes(b"")
    os.utime(checkpoint, (began + 5, began + 5))
    os.utime(path, (began + 12, began + 12))  # the last beat
    with attempt(path, checkpoint) as second:
        assert second.number == 2
        assert second.started_utc == first.started_utc
        assert second.lost_seconds == pytest.approx(7, abs=0.01)


def test_without_a_checkpoint_the_whole_attempt_is_lost(files):
    path, checkpoint = files
    with attempt(path, checkpoint) as first:
        pass
    os.utime(path, (first.began_unix_seconds + 3,) * 2)
    with attempt(path, checkpoint) as second:
        assert second.lost_seconds == pytest.approx(3, abs=0.01)


def test_an_attempt_beats_while_it_lives(files, monkeypatch):
    monkeypatch.setattr("tune_metalr.attempts._BEAT_SECONDS", 0.02)
    path, checkpoint = files
    with attempt(path, checkpoint):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_a_damaged_file_counts_as_none(files):
    path, _ = files
    path.write_text("half")
    assert read_attempts(path) is None
    path.write_text('{"other": 1}')
    assert read_attempts(path) is None


def test_the_ledgers_columns_are_filled():
    columns = Attempts(2, 1.5, "2026-01-01", 0.0).columns()
    assert columns["attempts"] == 2
    assert columns["finished_utc"] > columns["started_utc"] == "2026-01-01"
