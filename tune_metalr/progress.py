"""What a run shows while it runs: per method done, running, diverged, failed; time left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live

from tune_metalr.dealer import Dealer
from tune_metalr.losses import Losses
from tune_metalr.progress_feed import FeedWriter
from tune_metalr.progress_view import Snapshot
from tune_metalr.submitted import is_followed

_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 30.0
"""Between two lines where there is no terminal."""

_FEED_SECONDS = 1.0
_FEED_AT_LEAST_SECONDS = 15.0
"""Between two lines of a feed when nothing changes: who follows it knows that the run lives."""


class Display(Protocol):
    """Where snapshots go."""

    seconds: float
    """Between two of them."""

    def begin(self, snapshot: Snapshot) -> None:
        """Show the first one, if it says something."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show one more."""
        ...

    def end(self, snapshot: Snapshot) -> None:
        """Show the last one."""
        ...


class Progress:
    """Shows a dealer's counts: a live table on a terminal, a line now and then elsewhere.

    A run that was submitted to a cluster tells them to whoever follows it.
    """

    def __init__(self, dealer: Dealer, losses: Losses, console: Console) -> None:
        self._dealer = dealer
        self._losses = losses
        self._start = time.monotonic()
        self._num_ended_before = dealer.num_ended
        self._display = _Feed(console) if is_followed() else display(console)
        self._last = self._start

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the display up for the length of the `with` block."""
        self._display.begin(self._snapshot())
        try:
            yield
        finally:
            self._display.end(self._snapshot())

    def update(self) -> None:
        """Show how far the run is, if enough time has passed."""
        now = time.monotonic()
        if now - self._last >= self._display.seconds:
            self._last = now
            self._display.show(self._snapshot())

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            methods=self._dealer.count_by_method(),
            num_trials=self._dealer.num_trials,
            num_ended=self._dealer.num_ended,
            num_ended_before=self._num_ended_before,
            elapsed_seconds=time.monotonic() - self._start,
            lost=self._losses.line(),
        )


def display(console: Console) -> Display:
    """Return what fits the console: a live table, or lines."""
    return _LiveTable(console) if console.is_terminal else _Lines(console)


class _LiveTable:
    """A table that is drawn anew in its place."""

    seconds = _REFRESH_SECONDS

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def begin(self, snapshot: Snapshot) -> None:
        self._live.start()
        self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        self._live.update(snapshot.table(), refresh=True)

    def end(self, snapshot: Snapshot) -> None:
        self.show(snapshot)
        self._live.stop()


class _Lines:
    """A line now and then."""

    seconds = _LINE_SECONDS

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, snapshot: Snapshot) -> None:
        """Wait: nothing has happened yet."""

    def show(self, snapshot: Snapshot) -> None:
        self._console.print(snapshot.line(), soft_wrap=True)

    def end(self, snapshot: Snapshot) -> None:
        self.show(snapshot)


class _Feed:
    """Lines for a program."""

    seconds = _FEED_SECONDS

    def __init__(self, console: Console) -> None:
        self._console = console
        self._writer = FeedWriter()
        self._told_at = 0.0

    def begin(self, snapshot: Snapshot) -> None:
        self._tell(self._writer.line(snapshot), snapshot)

    def show(self, snapshot: Snapshot) -> None:
        silence = snapshot.elapsed_seconds - self._told_at
        if self._writer.is_news(snapshot) or silence >= _FEED_AT_LEAST_SECONDS:
            self._tell(self._writer.line(snapshot), snapshot)

    def end(self, snapshot: Snapshot) -> None:
        self._tell(self._writer.line(snapshot, is_last=True), snapshot)

    def _tell(self, line: str, snapshot: Snapshot) -> None:
        self._told_at = snapshot.elapsed_seconds
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)
