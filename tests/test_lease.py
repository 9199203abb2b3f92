"""One driver for results in object storage: waiting, taking over, and hearing that one has lost."""

import json
import threading
import time

import pytest

from tests.object_storage import BUCKET, Conditions, object_storage
from tune_metalr import lease
from tune_metalr.conditions import S3Conditions
from tune_metalr.errors import UserError
from tune_metalr.lock import driver_lock
from tune_metalr.object_store import ObjectStore, Tagged

pytestmark = pytest.mark.timeout(100)
NAME = "lease.json"


@pytest.fixture(scope="module")
def service():
    with object_storage() as service:
        yield service


@pytest.fixture
def store(service, request):
    service.conditions = Conditions.KEPT
    return ObjectStore(f"s3://{BUCKET}/{request.node.name}", patience_seconds=60)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(lease, "_RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(lease, "_EXPIRY_SECONDS", 1)
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.1)


def leave_behind(store, **changes) -> None:
    """Put the lease of a driver that is gone: its process is none of this machine."""
    with driver_lock(store):
        found = json.loads(store.read(NAME))
    store.write(NAME, json.dumps(found | {"process": 2**22 + 1} | changes).encode())


def test_a_second_driver_is_told_who_holds_the_lease(store):
    with (
        driver_lock(store),
        pytest.raises(UserError, match=r"in use by process \d+ on"),
        driver_lock(store),
    ):
        pass
    with driver_lock(store):
        pass
    assert store.names() == []


@pytest.mark.parametrize("realm", [None, "another container"], ids=["here", "elsewhere"])
def test_the_lease_of_a_lost_driver_ends(store, realm):
    """One whose process would be seen here at once; any other, when it is not renewed."""
    leave_behind(store, **({"realm": realm} if realm else {}))
    start = time.monotonic()
    with driver_lock(store):
        assert (time.monotonic() - start > 1) == (realm is not None)


def test_of_many_that_wait_for_one_lease_one_takes_it(store):
    leave_behind(store, realm="elsewhere")
    ends: list[str] = []

    def drive() -> None:
        try:
            with driver_lock(store) as check:
                time.sleep(2)
                check()
            ends.append("held")
        except UserError as error:
            ends.append(str(error))

    drivers = [threading.Thread(target=drive) for _ in range(4)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert ends.count("held") == 1
    assert sum("in use by process" in end for end in ends) == 3


def test_a_holder_hears_that_another_one_took_over(store):
    other = json.dumps({"token": "another"}).encode()
    with driver_lock(store) as check:
        check()
        store.write(NAME, other)
        with pytest.raises(UserError, match=r"another run took .* over while this one did not"):
            wait_for(check)
    assert store.read(NAME) == other


def wait_for(check) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        check()
        time.sleep(0.05)


def test_a_holder_that_sleeps_before_it_renews_takes_nothing_back(store, monkeypatch):
    other = json.dumps({"token": "another"}).encode()
    put = S3Conditions.put

    def sleep_before(self, service, key, data, *, tag):
        if tag is not None:
            service.pipe_file(key, other)
        return put(self, service, key, data, tag=tag)

    monkeypatch.setattr(S3Conditions, "put", sleep_before)
    with (
        pytest.raises(UserError, match="another run took"),
        driver_lock(store) as check,
    ):
        wait_for(check)
    assert store.read(NAME) == other


def test_a_renewal_whose_answer_is_lost_has_succeeded(store, monkeypatch):
    put = S3Conditions.put
    asked = []

    def lose_the_answer(self, service, key, data, *, tag):
        asked.append(data)
        answer = put(self, service, key, data, tag=tag)
        if asked.count(data) == 1:
            raise ConnectionResetError
        return answer

    monkeypatch.setattr(S3Conditions, "put", lose_the_answer)
    with driver_lock(store) as check:
        first = store.read(NAME)
        time.sleep(2)
        check()
        assert store.read(NAME) != first
    assert store.names() == []


def test_where_conditions_are_ignored_a_holder_keeps_its_lease(service, store):
    service.conditions = Conditions.IGNORED
    with driver_lock(store) as check:
        with pytest.raises(UserError, match=r"in use by process \d+ on"), driver_lock(store):
            pass
        time.sleep(0.5)
        check()


def test_who_waits_for_a_lease_says_for_whom_and_how_long(store, capsys):
    leave_behind(store, realm="elsewhere", holder="process 7 on there")
    with driver_lock(store):
        pass
    assert capsys.readouterr().err == (
        f"{store.location} is held by process 7 on there; taking over in 1 s unless it answers\n"
    )


def test_a_storage_that_knows_no_conditions_is_told_at_once(service, store):
    service.conditions = Conditions.REFUSED
    before = service.weather.num_calls
    with pytest.raises(UserError, match="knows no conditional requests"), driver_lock(store):
        pass
    assert service.weather.num_calls - before < 5


class AwayStore:
    """Gives the same lease until it was away for long, and then a renewed one."""

    location = "s3://bucket/study"

    def __init__(self, clock: list[float]) -> None:
        self._clock = clock
        self._num_looks = 0

    def read_tagged(self, name: str) -> Tagged:
        self._num_looks += 1
        if self._num_looks == 5:
            self._clock[0] += 100
        return Tagged(b'{"holder": "the living"}' + b" " * (self._num_looks > 9), "tag")


def test_a_storage_that_was_away_makes_no_lease_expire(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(lease.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(lease.time, "sleep", lambda seconds: None)
    with pytest.raises(UserError, match="in use by the living"):
        lease._wait_until_over(AwayStore(clock), Tagged(b'{"holder": "the living"}', "tag"))
