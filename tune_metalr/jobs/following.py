"""Follows a job from elsewhere: what it says, and its progress as `run` shows it.

The connection may break at any time, for any length. The log is then read again from its
beginning, and what has been shown is passed over.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from rich.console import Console

from tune_metalr.errors import UserError
from tune_metalr.jobs.view import JobView
from tune_metalr.ray_pool.job import Job, Jobs, LostConnectionError

_SILENCE_SECONDS = 60.0
"""A running study says something every 15 s; after this long, the connection is made anew."""

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_TRIES_AFTER_THE_END = 5
"""To read what is left of the log of a job that has ended."""


class Follower:
    """Shows a job until it ends, whatever becomes of the connection."""

    def __init__(
        self, jobs: Jobs, console: Console, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._jobs = jobs
        self._console = console
        self._sleep = sleep
        self._num_seen = 0
        """Characters of the log that have been taken up."""
        self._pause_seconds = 0.0
        """Since the connection was lost; 0 while it holds."""

    def follow(self, job_id: str) -> Job:
        """Show what a job says until it has ended; return it then.

        Raises:
            UserError: The cluster does not know the job any more, or refuses to tell.
        """
        tries_left = _TRIES_AFTER_THE_END
        with closing(JobView(self._console)) as view:
            while True:
                lost = self._show(job_id, view)
                try:
                    job = self._jobs.find(job_id)
                except LostConnectionError as error:
                    self._wait(error)
                    continue
                if job is None:
                    raise UserError(
                        f"the cluster at {self._jobs.url} does not know {job_id} any more: its "
                        f"head was started anew; submit the study again, what is done counts"
                    )
                tries_left -= job.state.is_over
                if job.state.is_over and (lost is None or not tries_left):
                    return job
                self._wait(lost)

    def _show(self, job_id: str, view: JobView) -> LostConnectionError | None:
        """Show the log until it ends; return why, if it was not its own end.

        A log may be refused because the job or the token is not known any more: `find` tells.
        """
        try:
            for text in self._tail(job_id):
                view.show(text)
        except LostConnectionError as error:
            return error
        return None

    def _tail(self, job_id: str) -> Iterator[str]:
        """Yield what has not been seen yet, until the log ends or has been silent for long."""
        to_skip = self._num_seen
        heard_at = time.monotonic()
        with closing(self._jobs.tail(job_id)) as chunks:
            for chunk in chunks:
                if chunk:
                    heard_at = time.monotonic()
                    self._connected()
                elif time.monotonic() - heard_at > _SILENCE_SECONDS:
                    return
                news = chunk[to_skip:]
                to_skip -= len(chunk) - len(news)
                self._num_seen += len(news)
                yield news

    def _wait(self, error: LostConnectionError | None) -> None:
        """Tell of a lost connection once, and wait a little longer each time."""
        if error and not self._pause_seconds:
            self._console.print(
                f"Lost the connection to {self._jobs.url}: {error.reason}. The study goes on "
                f"there; trying again.",
                soft_wrap=True,
            )
        self._sleep(max(self._pause_seconds, _FIRST_PAUSE_SECONDS))
        if error:
            longer = max(2 * self._pause_seconds, _FIRST_PAUSE_SECONDS)
            self._pause_seconds = min(longer, _LONGEST_PAUSE_SECONDS)

    def _connected(self) -> None:
        if self._pause_seconds:
            self._console.print("Connected again.")
            self._pause_seconds = 0.0
