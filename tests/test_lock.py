import multiprocessing
import os
import signal
import time

import pytest

from tune_metalr.errors import UserError
from tune_metalr.lock import driver_lock
from tune_metalr.store import FolderStore


def hold(folder, held):
    with driver_lock(FolderStore(folder)):
        held.set()
        time.sleep(60)


def test_a_second_driver_is_told_who_holds_the_folder(tmp_path):
    holder = f"process {os.getpid()} on"
    with (
        driver_lock(FolderStore(tmp_path)),
        pytest.raises(UserError, match=holder),
        driver_lock(FolderStore(tmp_path)),
    ):
        pass
    with driver_lock(FolderStore(tmp_path)):
        pass


def test_the_lock_of_a_killed_driver_makes_nobody_wait(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(tmp_path, held))
    process.start()
    assert held.wait(30)
    with pytest.raises(UserError, match="in use"), driver_lock(FolderStore(tmp_path)):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with driver_lock(FolderStore(tmp_path)):
        pass
