"""Results in Google's storage, asked of a small service on loopback by way of gcsfs."""

import time

import pytest

from tests.google_storage import BUCKET, google_storage
from tests.test_ledger import full_row
from tune_metalr import lease
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.lock import driver_lock
from tune_metalr.object_store import ObjectStore

pytestmark = pytest.mark.timeout(100)


@pytest.fixture(scope="module")
def service():
    with google_storage() as service:
        yield service


@pytest.fixture
def store(service, request):
    service.refusal = None
    return ObjectStore(f"gs://{BUCKET}/{request.node.name}")


def test_a_ledger_is_the_same_there(store):
    ledger = Ledger(store)
    ledger.create()
    for seed in range(3):
        ledger.record(full_row(seed))
    before = ledger.trials().table.to_pylist()
    ledger.tidy()
    assert len(store.names("trials/")) == 1
    assert store.names("trials/other") == []
    assert store.names() == []
    assert sorted(map(str, ledger.trials().table.to_pylist())) == sorted(map(str, before))


def test_one_driver_holds_a_lease(store, monkeypatch):
    monkeypatch.setattr(lease, "_RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.1)
    with driver_lock(store) as check:
        with pytest.raises(UserError, match="in use by process"), driver_lock(store):
            pass
        check()
        store.write("lease.json", b"{}")
        time.sleep(1)
        with pytest.raises(UserError, match="another run took"):
            check()
    store.delete("lease.json")
    with driver_lock(store):
        pass
    assert store.names() == []


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (401, PermissionError, "no such account"),
        (403, PermissionError, "Forbidden"),
        (400, OSError, "Bad Request"),
        (404, FileNotFoundError, "b/results/o"),
    ],
)
def test_what_asking_again_cannot_mend_is_told_at_once(service, store, status, kind, told):
    service.refusal = (status, "no such account" if status == 401 else "an invalid name")
    start = time.monotonic()
    with pytest.raises(kind, match=told):
        store.read("a")
    with pytest.raises(kind, match=told):
        store.write("a", b"")
    assert time.monotonic() - start < 5


def test_a_missing_right_is_told_to_who_runs_a_study(service, store):
    service.refusal = (403, "may not")
    with pytest.raises(UserError, match=f"cannot write to {store.location} .PermissionError"):
        Ledger(store).create()
