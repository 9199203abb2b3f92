"""Whether a process that holds results has died, as far as it can be seen from here."""

import os

import psutil

from tune_metalr import holder


def test_a_living_process_that_is_not_listed_has_not_died(tmp_path, monkeypatch):
    """Another user's, where `/proc` is mounted with `hidepid=2`."""

    def refuse(number: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    assert not holder.has_died(os.getpid(), holder.realm())
    assert holder.has_died(2**22 + 1, holder.realm())
    monkeypatch.setattr(os, "kill", refuse)
    assert not holder.has_died(os.getpid(), holder.realm())
