"""What a run shows while it runs: per method done, running, diverged, failed; time left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tune_metalr.dealer import Dealer

_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 30.0
"""Between two lines where there is no terminal."""


class Progress:
    """Draws a dealer's counts: a live table on a terminal, a line now and then elsewhere."""

    def __init__(self, dealer: Dealer, console: Console) -> None:
        self._dealer = dealer
        self._console = console
        self._start = time.monotonic()
        self._ended_before = dealer.num_ended
        self._live: Live | None = None
        self._last = self._start

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the display up for the length of the `with` block."""
        if not self._console.is_terminal:
            yield
            self._console.print(self.line(), soft_wrap=True)
            return
        with Live(self.table(), console=self._console, auto_refresh=False) as self._live:
            yield
            self._live.update(self.table(), refresh=True)

    def update(self) -> None:
        """Redraw, if enough time has passed."""
        now = time.monotonic()
        if now - self._last < (_REFRESH_SECONDS if self._live else _LINE_SECONDS):
            return
        self._last = now
        if self._live:
            self._live.update(self.table(), refresh=True)
        else:
            self._console.print(self.line(), soft_wrap=True)

    def line(self) -> str:
        """Return the counts in one line."""
        counts = list(self._dealer.count_by_method().values())
        return (
            f"{self._dealer.num_ended} of {self._dealer.num_trials} trials ended, "
            f"{sum(count.running for count in counts)} running, "
            f"{sum(count.diverged for count in counts)} diverged, "
            f"{sum(count.failed for count in counts)} failed; {self._times()}"
        )

    def table(self) -> Table:
        """Return the counts by method."""
        table = Table(caption=self._times(), caption_justify="left")
        table.add_column("method")
        for name in ("done", "running", "diverged", "failed", "of"):
            table.add_column(name, justify="right")
        for method, count in self._dealer.count_by_method().items():
            numbers = (count.done, count.running, count.diverged, count.failed, count.wanted)
            table.add_row(method, *(str(number) if number else "" for number in numbers))
        return table

    def _times(self) -> str:
        elapsed = time.monotonic() - self._start
        ended = self._dealer.num_ended - self._ended_before
        remaining = self._dealer.num_trials - self._dealer.num_ended
        text = f"{_clock(elapsed)} elapsed"
        if not ended or not remaining:
            return text
        return f"{text}, about {_clock(elapsed / ended * remaining)} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
