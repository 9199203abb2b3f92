"""Submits a study to a cluster, where the same `run` does the work; submitting again resumes."""

import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tune_metalr.command_line import command_line
from tune_metalr.errors import UserError
from tune_metalr.fork_server import ALLOCATOR
from tune_metalr.jobs.shipment import Shipment, pack
from tune_metalr.ray_pool.job import Job, JobFacts, JobOrder, Jobs, JobState, LostConnectionError
from tune_metalr.submitted import job_environment

_GOODBYE_SECONDS = 30
"""What a run that is stopped is given to end itself, instead of Ray's three."""

_OBJECT_STORAGE = ("s3", "gs")
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between looks for a job of which it is not known whether it was taken."""


class SubmitOptions(NamedTuple):
    """How a study is run on a cluster. Paths are the cluster's."""

    results: str
    """A folder that the cluster keeps, or a URL."""
    command: Sequence[str]
    """What submits it again."""
    run_options: Sequence[str] = ()
    """Passed on to `run`."""


def prepare(path: Path, options: SubmitOptions, folder: Path) -> JobOrder:
    """Check a study and pack it into an empty folder. No cluster is asked.

    Raises:
        UserError: The study is wrong, or something cannot be shipped.
    """
    shipment = pack(path, folder, run_options=options.run_options)
    return _order(shipment, options)


def submit(order: JobOrder, jobs: Jobs, *, sleep: Callable[[float], None] = time.sleep) -> Job:
    """Start a study on a cluster, or find it there if it runs already.

    Raises:
        UserError: An earlier form of the study is running.
        LostConnectionError: It is not known whether the job was taken.
    """
    if running := _running(jobs, order.facts):
        return _same(running, order.facts, jobs)
    try:
        jobs.submit(order)
    except LostConnectionError as error:
        _make_sure_it_was_taken(order, jobs, error, sleep)
    return Job(order.job_id, JobState.PENDING, order.facts, "", None, 0)


def check_place(option: str, place: str) -> str:
    """Return a place of the cluster, written in one way.

    Raises:
        UserError: A job would not find it again, or its name tells a secret.
    """
    parts = urlsplit(place)
    if "://" in place:
        if parts.username is not None or parts.query:
            raise UserError(
                f"{option} holds credentials, and would be written down; the cluster's nodes take "
                f"theirs from their environment"
            )
        if parts.scheme not in _OBJECT_STORAGE or not parts.netloc:
            raise UserError(f"{option} {place}: expected a whole path, or s3:// or gs://bucket")
    elif not place.startswith("/"):
        raise UserError(
            f"{option} {place} would lie in the job's own folder, which Ray deletes; give a whole "
            f"path that the cluster keeps, or s3://bucket/folder"
        )
    return place.rstrip("/") or "/"


def _running(jobs: Jobs, facts: JobFacts) -> Job | None:
    """Return the job that writes to the same results now."""
    for job in jobs.all():
        is_ours = (job.facts.study, job.facts.results) == (facts.study, facts.results)
        if is_ours and not job.state.is_over:
            return job
    return None


def _same(running: Job, facts: JobFacts, jobs: Jobs) -> Job:
    if running.facts.digest == facts.digest:
        return running
    stop = shlex.join(command_line("stop", running.job_id, address=jobs.url))
    raise UserError(
        f"{running.job_id} runs another form of this study, with other options or another version "
        f"of the code; stop it first, then submit again (what is done counts): {stop}"
    )


def _order(shipment: Shipment, options: SubmitOptions) -> JobOrder:
    study = shipment.study
    run = ["python", "-m", "tune_metalr", "run", shipment.study_path, "--results", options.results]
    run += ["--address", "auto", *options.run_options]
    threads = str(study.threads_per_trial)
    return JobOrder(
        job_id=f"{study.name}-{secrets.token_hex(4)}",
        # A shell between would end at once when the job is stopped, and leave the run alone.
        entrypoint=f"exec {shlex.join(run)}",
        folder=shipment.folder,
        environment={
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "RAY_JOB_STOP_WAIT_TIME_S": str(_GOODBYE_SECONDS),
            **ALLOCATOR,
            **job_environment(options.command),
        },
        facts=JobFacts(study.name, options.results, shipment.digest, shlex.join(options.command)),
    )


def _make_sure_it_was_taken(
    order: JobOrder, jobs: Jobs, lost: LostConnectionError, sleep: Callable[[float], None]
) -> None:
    """Ask for a job whose order broke off, for as long as a tunnel may take to come back.

    Raises:
        LostConnectionError: The job is not there, or the cluster does not answer.
    """
    for pause_seconds in _PAUSES_SECONDS:
        sleep(pause_seconds)
        try:
            if jobs.find(order.job_id) is not None:
                return
        except LostConnectionError as error:
            lost = error
        else:
            raise lost  # the cluster knows of no such job
    raise LostConnectionError(
        jobs.url, f"{lost.reason}; it is not known whether {order.job_id} was taken"
    )
