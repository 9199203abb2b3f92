"""How far a run is, as a value, and how that looks: a line, or a table by method."""

from collections.abc import Mapping
from typing import NamedTuple

from rich.table import Table

from tune_metalr.dealer import MethodCount


class Snapshot(NamedTuple):
    """A run at one moment."""

    methods: Mapping[str, MethodCount]
    """In the study's order."""
    num_trials: int
    num_ended: int
    num_ended_before: int
    """Of those, the ones of earlier runs: they took no time of this one."""
    elapsed_seconds: float
    lost: str
    """Workers and nodes, in a few words; empty if none was."""

    def line(self) -> str:
        """Return the counts in one line."""
        counts = list(self.methods.values())
        return (
            f"{self.num_ended} of {self.num_trials} trials ended, "
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
        for method, count in self.methods.items():
            numbers = (count.done, count.running, count.diverged, count.failed, count.wanted)
            table.add_row(method, *(str(number) if number else "" for number in numbers))
        return table

    def _times(self) -> str:
        ended = self.num_ended - self.num_ended_before
        remaining = self.num_trials - self.num_ended
        text = f"{_clock(self.elapsed_seconds)} elapsed"
        if self.lost:
            text = f"{text}, lost: {self.lost}"
        if not ended or not remaining:
            return text
        return f"{text}, about {_clock(self.elapsed_seconds / ended * remaining)} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
