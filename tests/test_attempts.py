import threading
import time

import pytest

from tune_metalr.attempts import Attempts, attempt, read_attempts, write_attempts
from tune_metalr.store import FolderStore

NAME = "t.attempts"


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_the_first_attempt_has_lost_nothing(store):
    with attempt(store, NAME) as living:
        assert living.attempts.number == 1
        assert living.attempts.lost_seconds == 0


def test_work_after_the_last_checkpoint_of_a_killed_attempt_is_lost(store):
    killed = Attempts(1, 2.0, "2026-01-01", alive_seconds=12.0, saved_seconds=5.0)
    assert killed.lost_with_last == 9
    write_attempts(store, NAME, killed)
    with attempt(store, NAME) as living:
        assert living.attempts.number == 2
        assert living.attempts.started_utc == "2026-01-01"
        assert living.attempts.lost_seconds == 9
    assert read_attempts(store, NAME).lost_with_last == pytest.approx(9, abs=1)


def test_an_attempt_beats_while_it_lives_and_not_after(store, monkeypatch):
    monkeypatch.setattr(FolderStore, "beat_seconds", 0.02)
    with attempt(store, NAME):
        wait_for_a_beat(store)
        store.delete(NAME)
        wait_for_a_beat(store)
    store.delete(NAME)
    time.sleep(0.1)
    assert store.names() == []


def wait_for_a_beat(store):
    deadline = time.monotonic() + 10
    while not seconds(store) > 0.01 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seconds(store) > 0.01


def seconds(store):
    found = read_attempts(store, NAME)
    return found.alive_seconds if found else 0


def test_what_a_checkpoint_holds_is_not_lost(store):
    with attempt(store, NAME) as living:
        time.sleep(0.05)
        living.saved()
    found = read_attempts(store, NAME)
    assert found.saved_seconds >= 0.05
    assert found.lost_with_last < 0.05


def test_a_damaged_file_counts_as_none(store):
    for text in ("half", '{"other": 1}', "[]"):
        store.write(NAME, text.encode())
        assert read_attempts(store, NAME) is None


def test_the_ledgers_columns_are_filled():
    columns = Attempts(2, 1.5, "2026-01-01").columns()
    assert columns["attempts"] == 2
    assert columns["finished_utc"] > columns["started_utc"] == "2026-01-01"


def test_an_attempt_ends_while_its_beat_is_being_written(tmp_path, monkeypatch):
    store = SilentStore(tmp_path)
    monkeypatch.setattr("tune_metalr.attempts._LONGEST_FAREWELL_SECONDS", 0.1)
    with attempt(store, NAME):
        store.is_silent.set()
        assert store.asked.wait(10)
        start = time.monotonic()
    assert time.monotonic() - start < 1
    store.answered.set()


class SilentStore(FolderStore):
    """A store that does not answer from some time on."""

    beat_seconds = 0.01

    def __init__(self, root) -> None:
        super().__init__(root)
        self.is_silent, self.asked, self.answered = (threading.Event() for _ in range(3))

    def write(self, name, data, *, durable=True):
        if self.is_silent.is_set():
            self.asked.set()
            self.answered.wait(20)
        super().write(name, data, durable=durable)


def test_a_late_attempt_leaves_the_next_ones_count_alone(store, monkeypatch):
    """A worker may outlive its node's raylet, and go on beating beside the next one."""
    monkeypatch.setattr(FolderStore, "beat_seconds", 0.02)
    with attempt(store, NAME) as late:
        with attempt(store, NAME) as living:
            assert living.attempts.number == 2
            late.saved()
            time.sleep(0.2)
            assert read_attempts(store, NAME).number == 2
        late.saved()
    assert read_attempts(store, NAME).number == 2
    with attempt(store, NAME) as third:
        assert third.attempts.number == 3
