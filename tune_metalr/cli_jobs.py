"""Commands on a cluster's jobs: submit a study, look at it, stop it."""

import shlex
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_metalr.command_line import command_line
from tune_metalr.errors import UserError
from tune_metalr.signals import InterruptedRunError, interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from tune_metalr.ray_pool.job import Job, Jobs

app = typer.Typer()

Address = Annotated[
    str,
    typer.Option(
        envvar="RAY_API_SERVER_ADDRESS",
        help="URL of the cluster's dashboard, as http://127.0.0.1:8265.",
    ),
]
JobName = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's id, or the name of its study.")
]

_ENDED_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 0.5


@app.command()
def submit(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study's YAML file.")],
    address: Address,
    results: Annotated[
        str, typer.Option(help="Whole path on the cluster, or a URL: where results are kept.")
    ],
    data_dir: Annotated[
        str | None, typer.Option(help="Mirror of the data sets; a whole path on the cluster.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Stop after this long; submitting again goes on.")
    ] = None,
    checkpoint_seconds: Annotated[
        float | None, typer.Option(min=0, help="Least time between two checkpoints of a trial.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not follow the job.")] = False,
) -> None:
    """Run a study on a cluster and follow it. The same command again follows it, or goes on."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.jobs.connecting import connect, open_doors
    from tune_metalr.jobs.submission import SubmitOptions, check_place, prepare
    from tune_metalr.jobs.submission import submit as submit_order

    results = check_place("--results", results)
    run_options = command_line(
        data_dir=None if data_dir is None else check_place("--data-dir", data_dir),
        max_hours=max_hours,
        checkpoint_seconds=checkpoint_seconds,
    )[1:]
    command = command_line("submit", str(study), address=address, results=results) + run_options
    console = plain_console()
    with interruptible():
        with tempfile.TemporaryDirectory(prefix="tune-metalr-ship-") as folder:
            # What is wrong here is told before anything is sent there.
            order = prepare(study, SubmitOptions(results, command, run_options), Path(folder))
            jobs = connect(address)
            for warning in open_doors(jobs):
                print(warning, file=sys.stderr)
            job = submit_order(order, jobs)
        if job.job_id == order.job_id:
            console.print(f"Submitted {job.job_id} to {jobs.url}.", soft_wrap=True)
        if no_wait:
            _print_commands(job, jobs, console)
        else:
            _follow(job, jobs, console)


@app.command()
def logs(
    job: JobName,
    address: Address,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
) -> None:
    """Show what a job on a cluster has said."""
    from tune_metalr.cli_tables import plain_console
    from tune_metalr.jobs.connecting import connect, find_job
    from tune_metalr.jobs.view import JobView

    console = plain_console()
    with interruptible():
        jobs = connect(address)
        found = find_job(jobs, job)
        if follow:
            _follow(found, jobs, console)
        else:
            with closing(JobView(console)) as view:
                view.show(jobs.logs(found.job_id))


@app.command()
def stop(job: JobName, address: Address) -> None:
    """Stop a job on a cluster. Its results stay; submitting the study again goes on."""
    from tune_metalr.jobs.connecting import connect, job_to_stop

    with interruptible():
        jobs = connect(address)
        found = job_to_stop(jobs, job)
        if found.state.is_over:
            print(f"{found.job_id} has ended already: {found.state.lower()}.")
            return
        jobs.stop(found.job_id)
        found = _ended(found, jobs)
    print(f"{found.job_id} has ended: {found.state.lower()}. To go on: {found.facts.command}")


def print_job_status(name: str, address: str, console: "Console") -> None:
    """Print how a job is, and how far its study."""
    from tune_metalr.jobs.connecting import connect, find_job
    from tune_metalr.progress_feed import FeedReader

    jobs = connect(address)
    job = find_job(jobs, name)
    reader = FeedReader()
    for line in jobs.logs(job.job_id).splitlines():
        reader.hear(line)
    if reader.has_heard:
        console.print(reader.at(0).table())
    console.print(
        f"{job.job_id} on {jobs.url}: {job.state.lower()}. Results: {job.facts.results}",
        soft_wrap=True,
    )
    if job.state.is_over:
        _print_reason(job, console)
        console.print(f"To go on, or to run it again: {job.facts.command}", soft_wrap=True)


def _ended(job: "Job", jobs: "Jobs") -> "Job":
    """Wait until a job that was stopped has ended."""
    from tune_metalr.jobs.connecting import find_job

    deadline = time.monotonic() + _ENDED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        found = find_job(jobs, job.job_id)
        if found.state.is_over:
            return found
        time.sleep(_POLL_SECONDS)
    again = shlex.join(command_line("stop", job.job_id, address=jobs.url))
    raise UserError(
        f"{job.job_id} was asked to end, but has not within {_ENDED_WITHIN_SECONDS:.0f} s; ask "
        f"again: {again}"
    )


def _follow(job: "Job", jobs: "Jobs", console: "Console") -> None:
    """Follow a job to its end, and end as it does."""
    from tune_metalr.jobs.following import Follower
    from tune_metalr.ray_pool.job import JobState

    try:
        console.print(f"Following {job.job_id}; Ctrl-C leaves it running.", soft_wrap=True)
        job = Follower(jobs, console).follow(job.job_id)
    except InterruptedRunError:
        _print_commands(job, jobs, console)
        raise
    if job.state is JobState.SUCCEEDED:
        return
    if job.was_killed:
        console.print(f"{job.job_id} has ended: {job.state.lower()}.", soft_wrap=True)
        _print_reason(job, console)
        console.print(f"To go on: {job.facts.command}", soft_wrap=True)
    raise typer.Exit(_exit_code(job))


def _print_reason(job: "Job", console: "Console") -> None:
    """Print why a job did not come to its end."""
    from tune_metalr.ray_pool.job import JobState

    if job.state is not JobState.SUCCEEDED and job.message:
        reason = job.message.splitlines()[0].partition(", last available logs")[0]
        console.print(f"Ray says: {reason}", soft_wrap=True)


def _exit_code(job: "Job") -> int:
    """Return how a job ended, as a shell tells it: a signal counts from 128."""
    if not job.exit_code:
        return 1
    return job.exit_code if job.exit_code > 0 else 128 - job.exit_code


def _print_commands(job: "Job", jobs: "Jobs", console: "Console") -> None:
    """Print what can be done with a job that runs on by itself."""
    follow = shlex.join([*command_line("logs", job.job_id, address=jobs.url), "--follow"])
    stop = shlex.join(command_line("stop", job.job_id, address=jobs.url))
    console.print(
        f"{job.job_id} runs on {jobs.url}. To follow it: {follow}. To stop it: {stop}",
        soft_wrap=True,
    )
