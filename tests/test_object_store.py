"""Results in S3, asked of a real endpoint on loopback: whole, patient, and silent about secrets."""

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

from tests.object_storage import BUCKET, object_storage
from tests.test_ledger import full_row
from tune_metalr import object_store
from tune_metalr.checkpoints import Checkpoints
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.object_store import ObjectStore
from tune_metalr.store import FolderStore, above, below, name_of, open_store, patient
from tune_metalr.trial_files import TrialFiles

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def service():
    with object_storage() as service:
        yield service


@pytest.fixture
def store(service, request):
    service.weather.failing_fraction = 0
    return ObjectStore(f"s3://{BUCKET}/{request.node.name}", patience_seconds=60)


@pytest.fixture(params=["folder", "objects"])
def any_store(request, tmp_path):
    return FolderStore(tmp_path) if request.param == "folder" else request.getfixturevalue("store")


def test_a_store_keeps_whole_objects_by_name(any_store):
    assert any_store.names("trials/") == []
    any_store.write("trials/a-1", b"one")
    any_store.write("trials/a-1", b"two")
    any_store.write("trials/b-1", b"")
    any_store.write("trials/deep/c", b"below")
    assert any_store.read("trials/a-1") == b"two"
    assert any_store.names("trials/") == ["trials/a-1", "trials/b-1"]
    assert any_store.names("trials/a") == ["trials/a-1"]
    within = any_store.within("trials")
    assert within.names() == ["a-1", "b-1"]
    assert within.names("b") == ["b-1"]
    within.delete("a-1")
    within.delete("a-1")
    with pytest.raises(FileNotFoundError):
        within.read("a-1")
    within.clear()
    assert within.names() == []


def test_a_ledger_is_the_same_in_object_storage(store):
    ledger = Ledger(store)
    ledger.create()
    for seed in range(3):
        ledger.record(full_row(seed))
    before = ledger.trials().table.to_pylist()
    store.write("trials/torn.parquet", b"half")
    moved = ledger.tidy()
    assert list(moved) == [f"{store.location}/set-aside/torn.parquet"]
    assert len(store.names("trials/")) == 1
    ledger.compact()
    assert sorted(map(str, ledger.trials().table.to_pylist())) == sorted(map(str, before))
    with pytest.raises(UserError, match=f"{store.location} holds no results"):
        ledger.wanted()
    ledger.write_study("name: s\n", [], ["tune-metalr"])
    assert Ledger(store.location).command() == ["tune-metalr"]


def test_calls_that_fail_are_made_again(service, store):
    service.weather.failing_fraction = 0.3
    checkpoints = Checkpoints(store)
    for count in range(20):
        checkpoints.save(f"t{count}", b"state" * count)
    assert [checkpoints.load(f"t{count}") for count in range(20)] == [
        b"state" * n for n in range(20)
    ]
    assert len(checkpoints.trial_ids()) == 20
    assert service.weather.num_failed > 5


def test_a_service_that_is_away_is_waited_for(service, store):
    service.weather.is_away = True
    timer = threading.Timer(3, lambda: setattr(service.weather, "is_away", False))
    timer.start()
    start = time.monotonic()
    store.write("a", b"there")
    assert time.monotonic() - start > 2
    assert store.read("a") == b"there"


def test_patience_has_an_end_that_is_told_in_one_line(service, store):
    service.weather.is_away = True
    try:
        with pytest.raises(OSError, match=BUCKET) as caught:
            store.with_patience(1).read("a")
    finally:
        service.weather.is_away = False
    assert not isinstance(caught.value, FileNotFoundError)
    assert "\n" not in str(caught.value)


def test_what_asking_again_cannot_mend_is_told_at_once(service, monkeypatch):
    start = time.monotonic()
    with pytest.raises(UserError, match=r"cannot write to s3://no-such-bucket/x"):
        Ledger("s3://no-such-bucket/x").create()
    assert time.monotonic() - start < 5


def test_a_service_that_is_away_is_spoken_of_once(service, store, monkeypatch, capsys):
    monkeypatch.setattr(object_store, "_SILENT_SECONDS", 0.3)
    monkeypatch.setattr(object_store, "_NOTICE", object_store._Notice())
    service.weather.is_away = True
    try:
        with ThreadPoolExecutor(4) as readers, pytest.raises(OSError, match=BUCKET):
            list(readers.map(store.with_patience(3).read, ["a", "b", "c", "d"]))
    finally:
        service.weather.is_away = False
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{store.location} does not answer (OSError: ")
    assert line.endswith("; asking again for up to 3 seconds")


def test_only_a_run_waits_for_minutes(store):
    """Whoever reads results is told in half a minute that they cannot be reached."""
    assert open_store(store.location)._patience_seconds == 30
    assert patient(open_store(store.location))._patience_seconds == 600


def test_no_traceback_tells_who_asks(monkeypatch):
    """A storage of one's own is often reached by a URL that names a user."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://someone:a-word@127.0.0.1:9")
    with pytest.raises(OSError, match=BUCKET) as caught:
        ObjectStore(f"s3://{BUCKET}/x", patience_seconds=0).read("a")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    text = "".join(traceback.format_exception(caught.value))
    assert "a-word" not in text


def test_what_is_below_a_folder_is_not_listed_with_it(service, store, monkeypatch):
    store.write("replay.csv", b"")
    for number in range(20):
        store.write(f"trials/{number}", b"")
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    before = service.weather.num_calls
    assert store.names() == ["replay.csv"]
    assert service.weather.num_calls - before == 1


class SlowStore:
    """Object storage whose answers take long."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def within(self, folder: str) -> "SlowStore":
        return self

    def delete(self, name: str) -> None:
        time.sleep(0.1)
        self.deleted.append(name)


def test_rows_are_deleted_many_at_once():
    store, names = SlowStore(), {str(number) for number in range(32)}
    start = time.monotonic()
    TrialFiles(store).delete_each(names)
    assert time.monotonic() - start < 2
    assert set(store.deleted) == names


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://key:secret@bucket/x", "credentials and endpoints come from the environment"),
        ("s3://bucket/x?secret_key=1", "credentials and endpoints come from the environment"),
        ("ftp://bucket/x", r"unknown kind of storage 'ftp://': expected a path, or s3://, gs://"),
        ("s3://", "names no bucket"),
    ],
)
def test_a_wrong_uri_is_told_without_what_is_secret_in_it(uri, message):
    with pytest.raises(UserError, match=message) as caught:
        open_store(uri)
    assert "secret@" not in str(caught.value)
    assert "secret_key" not in str(caught.value)


def test_locations_have_parts_of_either_kind(tmp_path):
    assert below("s3://bucket/", "study") == "s3://bucket/study"
    assert below("results", "study") == below("results/", "study")
    assert above("s3://bucket/results/study/") == "s3://bucket/results"
    assert above("results/study") == below(".", "results")
    assert name_of("s3://bucket/study/") == "study"
    assert name_of(tmp_path / "study") == "study"


def test_what_a_table_tells_is_found_where_secrets_are_looked_for(service):
    ledger = Ledger(f"s3://{BUCKET}/results/tables")
    ledger.record(full_row(0) | {"error": "a-word"})
    assert any("a-word" in text for text in service.stored().values())
