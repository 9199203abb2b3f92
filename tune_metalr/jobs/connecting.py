"""A cluster that takes jobs: how it is reached, whether that is safe, and which job is meant."""

import importlib.metadata
import ipaddress
from urllib.parse import urlsplit

from tune_metalr.errors import UserError, install
from tune_metalr.ray_pool import sends_token, set_environment, use_token
from tune_metalr.ray_pool.job import Job, Jobs

_MOST_NAMED = 5


def connect(address: str) -> Jobs:
    """Reach a cluster.

    Args:
        address: URL of its dashboard.

    Raises:
        UserError: It cannot be reached, refuses the token or would let others read it, or runs
            another version of Ray.
    """
    url = _dashboard(address)
    set_environment(is_private=False)
    use_token()
    if sends_token() and not _is_hidden(url):
        raise UserError(
            f"the token would go to {urlsplit(url).hostname} in clear text: use an SSH tunnel (ray "
            f"dashboard cluster.yaml), or https"
        )
    try:
        from tune_metalr.ray_pool.job_client import JobClient
    except ModuleNotFoundError as error:
        raise UserError(f"jobs need the package '{error.name}': {install('cluster')}") from None
    jobs: Jobs = JobClient(url)
    ours = importlib.metadata.version("ray")
    if _minor(jobs.ray_version) != _minor(ours):
        raise UserError(
            f"the cluster at {jobs.url} runs Ray {jobs.ray_version}; this version needs {ours}, "
            f"here and there"
        )
    return jobs


def find_job(jobs: Jobs, name: str) -> Job:
    """Return the job with an id, or that of a study: the one that runs, else the latest.

    Raises:
        UserError: There is none.
    """
    known = jobs.all()
    named = _named(known, name, jobs.url)
    return next((job for job in named if not job.state.is_over), named[0])


def job_to_stop(jobs: Jobs, name: str) -> Job:
    """Return the job with an id, or the only one of a study that runs.

    Raises:
        UserError: There is none, or several of the study run: with results of their own, and
            maybe not the user's.
    """
    named = _named(jobs.all(), name, jobs.url)
    running = [job for job in named if not job.state.is_over]
    if len(running) > 1:
        told = ", ".join(f"{job.job_id} (results in {job.facts.results})" for job in running)
        raise UserError(f"several jobs of '{name}' run: {told}; name one by its id")
    return running[0] if running else named[0]


def _named(known: list[Job], name: str, url: str) -> list[Job]:
    """Return the job with an id, or all jobs of a study, the latest first."""
    found = [job for job in known if job.job_id == name] or [
        job for job in known if job.facts.study == name
    ]
    if not found:
        names = ", ".join(job.job_id for job in known[:_MOST_NAMED])
        hint = f"; the latest: {names}" if names else "; no study was submitted there"
        raise UserError(f"the cluster at {url} has no job or study '{name}'{hint}")
    return found


def open_doors(jobs: Jobs) -> list[str]:
    """Return a line for each way in which this cluster lets others run code, or read along."""
    found = []
    if not jobs.asks_for_a_token():
        found.append(
            f"Warning: the cluster at {jobs.url} runs code for everybody who can reach it: start "
            f"it with RAY_AUTH_MODE=token."
        )
    if not _is_hidden(jobs.url):
        found.append(
            f"Warning: what goes to {urlsplit(jobs.url).hostname} is not encrypted: use an SSH "
            f"tunnel (ray dashboard cluster.yaml), or https."
        )
    return found


def _dashboard(address: str) -> str:
    """Return the address of a dashboard as a URL."""
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        is_url = False
    if not is_url or address == "auto":
        raise UserError(
            f"--address {_without_secrets(address)} is not the URL of a dashboard, such as "
            f"http://127.0.0.1:8265"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError("--address holds credentials, and would be written down")
    return url.rstrip("/")


def _without_secrets(address: str) -> str:
    """Return what of an address may be shown."""
    return address.rpartition("@")[2].partition("?")[0]


def _is_hidden(url: str) -> bool:
    """Return whether nobody between here and there can read what goes to a URL."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
