"""Shows a job's log: its lines as they are, its progress as `run` shows it."""

import time

from rich.console import Console

from tune_metalr.progress import Display, display
from tune_metalr.progress_feed import FeedReader

_RAYS_OWN = ("Running entrypoint for job ", "Runtime env is setting up.")
"""What Ray writes into each job's log."""


class JobView:
    """Takes a log in pieces, however they are cut."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._reader = FeedReader()
        self._display: Display | None = None
        self._rest = ""
        self._heard_at = 0.0
        self._shown_at = 0.0

    def show(self, text: str) -> None:
        """Show the next piece of the log; an empty one lets the clock go on."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._show_line(line)
        if self._display and time.monotonic() - self._shown_at >= self._display.seconds:
            self._shown_at = time.monotonic()
            self._display.show(self._reader.at(self._shown_at - self._heard_at))

    def close(self) -> None:
        """Show what is left."""
        if self._rest:
            self._show_line(self._rest)
        self._end_display()

    def _show_line(self, line: str) -> None:
        if not self._reader.hear(line):
            if not any(words in line for words in _RAYS_OWN):
                self._console.print(line, soft_wrap=True, markup=False, highlight=False)
            return
        self._heard_at = time.monotonic()
        if self._reader.is_over:
            self._end_display()
        elif self._display is None:
            self._display = display(self._console)
            self._display.begin(self._reader.at(0))
            self._shown_at = self._heard_at

    def _end_display(self) -> None:
        if self._display:
            self._display.end(self._reader.at(0))
            self._display = None
