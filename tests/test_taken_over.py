"""A driver whose results another run took over ends, with nothing left behind."""

import io
import threading
import time

import pytest
from rich.console import Console

from tests.test_dealer import wanted
from tune_metalr import driver
from tune_metalr.dealer import Dealer
from tune_metalr.driver import Driver, DriverOptions
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.work_order import WorkOrder

pytestmark = pytest.mark.timeout(30)


class Session:
    """A session of a cluster that is always there."""

    def __init__(self, options: object) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def check_head(self) -> None:
        pass


class EndlessPool:
    """A pool whose trials never end."""

    slots = None
    forgotten = threading.Event()

    def __init__(self, *parts: object) -> None:
        self.forgotten.clear()

    def run(self, events: object) -> None:
        time.sleep(20)

    def forget_marker(self) -> None:
        self.forgotten.set()


def test_the_loser_ends_with_what_happened(tmp_path, places, monkeypatch):
    monkeypatch.setattr(driver, "RaySession", Session)
    monkeypatch.setattr(driver, "Pool", EndlessPool)
    start = time.monotonic()

    def check_lock() -> None:
        if time.monotonic() - start > 0.5:
            raise UserError("another run took it over")

    options = DriverOptions(
        cpus=1, address="auto", max_hours=None, threads_per_trial=1, need={"CPU": 1},
        reuse_actors=True, fork_server=None, interruption=None, check_lock=check_lock,
    )  # fmt: skip
    ledger = Ledger(tmp_path)
    order = WorkOrder(ledger.store, places, 10, None, tmp_path, "evaluation")
    with pytest.raises(UserError, match="another run took it over"):
        Driver(ledger, order, options, Console(file=io.StringIO())).run(Dealer(wanted(2), {}))
    assert EndlessPool.forgotten.is_set()
