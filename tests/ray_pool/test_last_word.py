"""Who speaks for a process that Ray has ended: once, and only if the head is gone."""

import socket
import subprocess
import sys

import pytest

from tune_metalr.ray_pool.last_word import HEAD_IS_GONE

JOINS = """
import os, sys
from tune_metalr.ray_pool.last_word import LastWord
with LastWord(sys.argv[1]):
    if sys.argv[2] == "ended by Ray":
        os._exit(1)
os._exit(2)
"""


class Head:
    """A door that may close."""

    def __init__(self):
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.door.getsockname()[1]}"


@pytest.fixture
def head():
    head = Head()
    yield head
    head.door.close()


def said(head, how):
    result = subprocess.run(
        [sys.executable, "-c", JOINS, head.address, how], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == (1 if how == "ended by Ray" else 2)
    return result.stderr


def test_a_process_that_ray_ends_with_its_head_is_spoken_for(head):
    head.door.close()
    assert said(head, "ended by Ray") == f"tune-metalr: {HEAD_IS_GONE}\n"


def test_a_head_that_is_there_is_not_called_gone(head):
    assert said(head, "ended by Ray") == ""


def test_a_process_that_ends_by_itself_speaks_for_itself(head):
    head.door.close()
    assert said(head, "by itself") == ""
