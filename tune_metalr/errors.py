"""The user's errors: one clear line that says what to do, never a traceback."""

import difflib
import re
from collections.abc import Iterable

_USER_OF_A_URL = re.compile(r"(?<=://)[^/\s@\"']*@")


class UserError(Exception):
    """Something that the user can put right; the message says how."""


def first_line(error: BaseException, silent: str | None = None) -> str:
    """Return the first line of what an error says; `silent`, or its kind, if it says nothing."""
    return (str(error).splitlines() or [silent or type(error).__name__])[0]


def without_secrets(text: str) -> str:
    """Return a text whose URLs name no user and no password: some packages tell them."""
    return _USER_OF_A_URL.sub("", text)


def install(extra: str) -> str:
    """Return the command that brings the packages of an extra, run where the project lies."""
    return f"pip install -c constraints.txt -e '.[{extra}]'"


def nearest(word: str, known: Iterable[str], *, module: str | None = None) -> str:
    """Return '; did you mean ...?' with the most similar known word, or the list of all.

    A module's names are told by their import paths, and are too many for a list.
    """
    words = sorted(known)
    if close := difflib.get_close_matches(word, words, n=1):
        path = f"{module}.{close[0]}" if module else close[0]
        return f"; did you mean '{path}'?"
    return "" if module else f"; known: {', '.join(words)}"
