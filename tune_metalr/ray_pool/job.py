"""A job on somebody's cluster: what is submitted, and what can be asked about it. No ray."""

from collections.abc import Generator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from tune_metalr.errors import UserError


class LostConnectionError(UserError):
    """The cluster does not answer, for now."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no connection to {url}: {reason}; run the same command again")
        self.reason = reason


class JobState(StrEnum):
    """Ray's words for it."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.PENDING, JobState.RUNNING)


class JobFacts(NamedTuple):
    """What is written beside a job when it is submitted, for whoever finds it later."""

    study: str
    results: str
    digest: str
    """Of everything that was shipped."""
    command: str
    """What submits it again; a shell's words."""

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> "JobFacts | None":
        """Return the facts of a job of ours; `None` for any other."""
        told = [metadata.get(f"tune-metalr-{name}", "") for name in cls._fields]
        return cls(*told) if any(told) else None

    def metadata(self) -> dict[str, str]:
        """Return them as Ray keeps them."""
        return {f"tune-metalr-{name}": value for name, value in self._asdict().items()}


class Job(NamedTuple):
    """A job that was submitted."""

    job_id: str
    state: JobState
    facts: JobFacts
    message: str
    """What Ray says of its state."""
    exit_code: int | None
    started_ms: int
    """Unix time in milliseconds."""

    @property
    def was_killed(self) -> bool:
        """Whether the run had no time to say why it ends."""
        return self.exit_code is None or self.exit_code < 0


class JobOrder(NamedTuple):
    """A job that is to be."""

    job_id: str
    """Chosen here: after a lost connection it tells whether the job was taken."""
    entrypoint: str
    folder: Path
    """What is shipped; it becomes the job's working directory on every node."""
    environment: Mapping[str, str]
    facts: JobFacts


class Jobs(Protocol):
    """The jobs of one cluster. Each call may raise `LostConnectionError`, or `UserError` where
    the cluster refuses.
    """

    url: str
    """Of the cluster's dashboard."""

    @property
    def ray_version(self) -> str:
        """The version of Ray that the cluster runs."""
        ...

    def asks_for_a_token(self) -> bool:
        """Return whether somebody who has none is refused."""
        ...

    def all(self) -> list[Job]:
        """Return the jobs of ours, the latest first."""
        ...

    def find(self, job_id: str) -> Job | None:
        """Return a job; `None` if the cluster does not know it."""
        ...

    def submit(self, order: JobOrder) -> None:
        """Ship a folder and start a job in it."""
        ...

    def stop(self, job_id: str) -> None:
        """Ask a job to end."""
        ...

    def logs(self, job_id: str) -> str:
        """Return what a job has said so far."""
        ...

    def tail(self, job_id: str) -> Generator[str]:
        """Follow what a job says, from its beginning to its end.

        Yields:
            Text as it comes; twice a second nothing, `""`, so that the caller can look around.
        """
        ...
