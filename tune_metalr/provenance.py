"""By what a result was made: versions, commit, processor."""

import datetime
import functools
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

_KINDS_OF_CODE = {".py", ".json", ".safetensors"}


class Code(NamedTuple):
    """What decides the numbers of a process's trials, beside the trials themselves."""

    name: str
    """Commit or version of this project, as told to a user."""
    digest: str
    """Of this project's files. A commit says too little, and too much: changes that are not
    committed go by one name, and a changed README is another commit."""
    torch_version: str | None

    def difference_from(self, other: "Code") -> str | None:
        """Say in what this code is another one, if it is; a build of torch is no difference."""
        if self.digest != other.digest:
            return (
                f"tune_metalr is {self.name} here, with other files than the driver's {other.name}"
            )
        ours, theirs = ((code.torch_version or "").partition("+")[0] for code in (self, other))
        if ours != theirs:
            return f"torch is {self.torch_version} here, and {other.torch_version} at the driver"
        return None


@functools.cache
def code() -> Code:
    """Return the code of this process; looked up once, for files may change while it runs."""
    known = provenance()
    name = known["project_commit"] or known["project_version"] or "a copy without a version"
    return Code(name, _digest(), known["torch_version"])


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


def _digest() -> str:
    root = Path(__file__).resolve().parent
    found = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.suffix in _KINDS_OF_CODE:
            found.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit that this package is of, if it is a checkout or was installed from one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return _commit_installed(root)
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        command += ["--abbrev=40", "--exclude=*"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return output.stdout.strip() or None


def _commit_installed(root: Path) -> str | None:
    """Return the commit that lies beside the package: pip notes it, and so does a shipment."""
    for distribution in importlib.metadata.distributions(name="tune-metalr", path=[str(root)]):
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        commit = origin.get("vcs_info", {}).get("commit_id")
        return str(commit) if commit else None
    return None


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None) or platform.processor() or None
