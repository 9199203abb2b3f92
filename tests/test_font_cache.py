"""The list of fonts lies in the project's cache, and nowhere if there is no room for it."""

import os

import pytest

from tune_metalr.font_cache import keep_font_list


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", "what it is set to during a test is forgotten")
    monkeypatch.delenv("MPLCONFIGDIR")


def test_the_list_lies_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_METALR_CACHE", str(tmp_path / "cache"))
    keep_font_list(tmp_path / "other")
    assert os.environ["MPLCONFIGDIR"] == str((tmp_path / "cache").resolve() / "matplotlib")


def test_what_a_user_says_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", "mine")
    keep_font_list(tmp_path)
    assert os.environ["MPLCONFIGDIR"] == "mine"


def test_without_room_matplotlib_goes_its_own_way(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNE_METALR_CACHE", str(tmp_path / "file" / "cache"))
    keep_font_list(tmp_path)
    assert "MPLCONFIGDIR" not in os.environ
