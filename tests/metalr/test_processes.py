"""Processes of one thread: results in order, and none that outlives the first."""

import math
import subprocess
import sys
import time

import psutil

from tune_metalr.metalr.meta_training.processes import processes_of_one_thread

ENDLESS = """\
import sys, time
from tune_metalr.metalr.meta_training.processes import processes_of_one_thread
if __name__ == "__main__":
    with processes_of_one_thread(2) as pool:
        for _ in pool.map_until(float("inf"), abs, [(1,)] * 3):
            pass
        print("ready", flush=True)
        time.sleep(600)
"""


def test_results_come_in_the_order_of_the_work() -> None:
    work = [(number,) for number in (9, 4, 1, 0)]
    with processes_of_one_thread(2) as pool:
        assert list(pool.map_until(math.inf, math.sqrt, work)) == [3, 2, 1, 0]
        assert list(pool.map_until(time.monotonic() - 1, math.sqrt, work)) == []


def test_no_process_outlives_the_first_one(tmp_path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    first = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert first.stdout
    assert first.stdout.readline() == "ready\n"
    others = psutil.Process(first.pid).children(recursive=True)
    assert len(others) >= 2
    first.kill()
    first.wait()
    first.stdout.close()
    _, alive = psutil.wait_procs(others, timeout=20)
    assert not alive
