"""Ray's job client, in the house's terms. Imported once the token is known.

Facts about Ray 2.60 that shape this file (`dashboard/modules/job/sdk.py`, `dashboard_sdk.py`):
- RAY_ADDRESS and RAY_API_SERVER_ADDRESS win over the address that the client is given.
- Its requests have no timeout: through a tunnel that has died they would wait for ever.
- Of a folder it ships neither what a `.gitignore` in it names nor what is called `venv`; of an
  archive it ships all.
- It sends an archive as one block of bytes, for the whole of which the timeout then holds.
- A log that is followed comes from its beginning, each time. A connection that has died silently
  is not noticed: whoever follows has to mind the silence.
"""

import asyncio
import io
import logging
import os
import tempfile
import zipfile
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from tune_metalr.errors import UserError, first_line
from tune_metalr.ray_pool.job import Job, JobFacts, JobOrder, JobState, LostConnectionError
from tune_metalr.ray_pool.token import DEFAULT_TOKEN

_TIMEOUT_SECONDS = 30.0
"""For one answer, and between two parts of one; to send one block of what is shipped."""

_KEEPING_SECONDS = 300.0
"""For the answer to what was shipped: the head puts it into its store first."""

_TICK_SECONDS = 0.5
_SERVER_ERRORS = range(500, 600)
_REFUSALS = (401, 403)
_CHATTY = ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
"""Loggers that tell of each package, each with a level of its own."""

_OTHER_ADDRESSES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
_TOKEN_HINT = (
    f"put the cluster's token into {DEFAULT_TOKEN}, or name its file by RAY_AUTH_TOKEN_PATH"
)


class JobClient:
    """The jobs of one cluster; see `Jobs`."""

    def __init__(self, url: str) -> None:
        """Reach a cluster.

        Args:
            url: Of its dashboard.

        Raises:
            UserError: It cannot be reached, or refuses the token.
        """
        self.url = url
        for name in _OTHER_ADDRESSES:
            os.environ.pop(name, None)
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            self._client = _Client(self.url)
        except AuthenticationError as error:  # no token at all, though one is to be sent
            _refuse(self.url, str(error))
        except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.url} is not the dashboard of a Ray cluster: {first_line(error)}"
            ) from None

    @property
    def ray_version(self) -> str:
        """The version of Ray that the cluster runs."""
        return str(self._client._server_ray_version)

    def asks_for_a_token(self) -> bool:
        """Return whether somebody who has none is refused."""
        try:
            answer = requests.get(f"{self.url}/api/jobs/", timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise LostConnectionError(self.url, _reason(error)) from error
        return answer.status_code in _REFUSALS

    def all(self) -> list[Job]:
        """Return the jobs of ours, the latest first."""
        found = [job for details in self._client.list_jobs() if (job := _job(details))]
        return sorted(found, key=lambda job: job.started_ms, reverse=True)

    def find(self, job_id: str) -> Job | None:
        """Return a job; `None` if the cluster does not know it."""
        return next((job for job in self.all() if job.job_id == job_id), None)

    def submit(self, order: JobOrder) -> None:
        """Ship a folder and start a job in it."""
        with tempfile.TemporaryDirectory(prefix="tune-metalr-zip-") as there:
            archive = _archive(order.folder, Path(there) / "job.zip")
            try:
                self._client.submit_job(
                    entrypoint=order.entrypoint,
                    submission_id=order.job_id,
                    runtime_env={
                        "working_dir": str(archive),
                        "env_vars": dict(order.environment),
                    },
                    metadata=order.facts.metadata(),
                )
            except (RuntimeError, ValueError) as error:
                raise UserError(f"the cluster does not take the job: {first_line(error)}") from None

    def stop(self, job_id: str) -> None:
        """Ask a job to end."""
        self._client.stop_job(job_id)

    def logs(self, job_id: str) -> str:
        """Return what a job has said so far."""
        return str(self._client.get_job_logs(job_id))

    def tail(self, job_id: str) -> Generator[str]:
        """Follow what a job says, from its beginning to its end."""
        loop = asyncio.new_event_loop()
        chunks = self._client.tail_job_logs(job_id)
        coming: asyncio.Task[str | None] | None = None
        try:
            while True:
                coming = coming or loop.create_task(_next(chunks))
                loop.run_until_complete(asyncio.wait({coming}, timeout=_TICK_SECONDS))
                if not coming.done():
                    yield ""
                    continue
                if (chunk := coming.result()) is None:
                    return
                coming = None
                yield chunk
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise LostConnectionError(self.url, first_line(error)) from error
        finally:
            if coming and not coming.done():
                coming.cancel()
                with suppress(asyncio.CancelledError):
                    loop.run_until_complete(coming)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


class _Client(JobSubmissionClient):
    """Ray's client, whose requests end, and whose errors are ours."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", _TIMEOUT_SECONDS)
        if isinstance(data := options.get("data"), bytes):
            options["data"] = io.BytesIO(data)  # sent block by block
            options["timeout"] = (_TIMEOUT_SECONDS, _KEEPING_SECONDS)
        try:
            answer: requests.Response = super()._do_request(method, endpoint, **options)
        except requests.RequestException as error:
            raise LostConnectionError(self._address, _reason(error)) from error
        except AuthenticationError as error:
            _refuse(self._address, str(error))
        if answer.status_code in _SERVER_ERRORS and method == "GET":
            reason = f"it answers with status {answer.status_code}"
            raise LostConnectionError(self._address, reason)
        return answer

    def _raise_error(self, r: requests.Response) -> NoReturn:
        """Tell the last line of an answer: it may be a whole traceback."""
        told = [line for line in r.text.splitlines() if line.strip()] or ["no reason given"]
        raise UserError(f"the cluster at {self._address} refuses: {told[-1].strip()[:200]}")


def _refuse(url: str, reason: str) -> NoReturn:
    if reason.startswith("Authentication failed"):
        raise UserError(f"the cluster at {url} refuses this token: {_TOKEN_HINT}") from None
    raise UserError(f"the cluster at {url} asks for a token: {_TOKEN_HINT}") from None


def _archive(folder: Path, path: Path) -> Path:
    """Put a folder's files into an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def _job(details: JobDetails) -> Job | None:
    facts = JobFacts.read(details.metadata or {})
    if facts is None:
        return None
    return Job(
        job_id=details.submission_id or "",
        state=JobState(details.status.value),
        facts=facts,
        message=details.message or "",
        exit_code=details.driver_exit_code,
        started_ms=details.start_time or 0,
    )


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer within {_TIMEOUT_SECONDS:.0f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return f"no safe connection: {first_line(error)}"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy does not let through: {first_line(error)}"
    if isinstance(error, requests.ConnectionError):
        return "nothing answers there"
    return first_line(error)


async def _next(chunks: AsyncIterator[str]) -> str | None:
    return await anext(chunks, None)
