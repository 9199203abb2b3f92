"""By what a result was made: versions, commit, processor."""

import datetime
import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path


@functools.cache
def provenance() -> dict[str, str | None]:
    """Return the provenance columns of this process; looked up once."""
    return {
        "project_version": _version("tune-metalr"),
        "project_commit": _commit(),
        "python_version": platform.python_version(),
        "torch_version": _version("torch"),
        "ray_version": _version("ray"),
        "optuna_version": _version("optuna"),
        "cpu_model": _cpu_model(),
    }


def utc_now() -> str:
    """Return the time as ISO 8601 text that sorts."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that this package is imported from, if it is one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        command += ["--abbrev=40", "--exclude=*"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return output.stdout.strip() or None


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None) or platform.processor() or None
