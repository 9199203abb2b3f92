"""What is shipped to a cluster: this version of the code, the study, and what the study names.

Nothing is installed there. The files lie in the job's working directory, which Python looks at
first on every node; the packages that they need stay the cluster's own.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

import tune_metalr
from tune_metalr.errors import UserError
from tune_metalr.jobs.own_code import own_code
from tune_metalr.provenance import provenance
from tune_metalr.study import Study
from tune_metalr.study_file import StudyFile, load_study

_PACKAGES = {
    "tune_metalr": ("__pycache__", ".*"),
    # `reference` holds ledgers that come with a checkout.
    "analysis": ("__pycache__", ".*", "reference"),
}
"""Our own code, and what of it is left out."""

_METADATA = ".dist-info"
_MOST_BYTES = 200 * 2**20
"""Of the user's own, in all. Ray's limit is 512 MB, after minutes of packing."""


class Shipment(NamedTuple):
    """A folder that is ready to be shipped."""

    folder: Path
    study_path: str
    """The study's file, as seen from there."""
    study: Study
    digest: str


def pack(path: Path, folder: Path, *, run_options: Sequence[str] = ()) -> Shipment:
    """Load a study, and put everything that a job needs into an empty folder.

    Args:
        path: The study's file.
        folder: Where to put things.
        run_options: How it is to be run: the digest tells other ways apart.

    Raises:
        UserError: The study is wrong, or something that it names cannot be shipped.
    """
    known = set(sys.modules)
    study_file = load_study(path)
    path = Path(os.path.abspath(path))  # without `..`, and with links as they are
    modules = {name for name in set(sys.modules) - known if name.split(".")[0] not in _PACKAGES}
    root = _root(path)
    for package, left_out in _PACKAGES.items():
        ignore = shutil.ignore_patterns(*left_out)
        shutil.copytree(_home() / package, folder / package, ignore=ignore)
    _write_metadata(folder)
    cargo = _Cargo(folder)
    for file, name in own_code(modules):
        cargo.take(file, name)
    for data in _data_folders(study_file, root):
        _take_data(data, data.relative_to(root), cargo)
    study = path.relative_to(root)
    (folder / study).parent.mkdir(parents=True, exist_ok=True)
    (folder / study).write_text(study_file.text, encoding="utf-8")
    return Shipment(folder, str(study), study_file.study, _digest(folder, run_options))


class _Cargo:
    """What of the user's is shipped. There is a limit, kept while it is copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._num_bytes = 0

    def take(self, file: Path, name: Path) -> None:
        """Copy a file, or what a link leads to."""
        self._num_bytes += file.stat().st_size
        if self._num_bytes > _MOST_BYTES:
            raise UserError(
                f"with {file} it would be more than the {_MOST_BYTES / 2**20:.0f} MB that are "
                f"shipped at most: put data where every node sees them, and name them by their "
                f"whole path there"
            )
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, self._folder / name)


def _root(path: Path) -> Path:
    """Return what becomes the working directory: the one of here, if the study lies below it."""
    here = Path.cwd()
    return here if path.is_relative_to(here) else path.parent


def _home() -> Path:
    return Path(tune_metalr.__file__).parents[1]


def _write_metadata(folder: Path) -> None:
    """Let the copy tell its version and commit, as an installed package does."""
    known = provenance()
    version = known["project_version"]
    if version is None:  # it runs from a checkout that was never installed
        return
    target = folder / f"tune_metalr-{version}{_METADATA}"
    target.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: tune-metalr\nVersion: {version}\n"
    (target / "METADATA").write_text(metadata)
    if commit := known["project_commit"]:
        origin = {"url": "", "vcs_info": {"vcs": "git", "commit_id": commit}}
        (target / "direct_url.json").write_text(json.dumps(origin))


def _data_folders(study_file: StudyFile, root: Path) -> Iterator[Path]:
    """Yield the folders of data that the study names as seen from itself.

    One that is named by its whole path has to be on the cluster already.
    """
    written = {
        choice["name"]: str(choice.get("dataset", ""))
        for choice in yaml.safe_load(study_file.text)["workloads"]
        if isinstance(choice, dict) and "name" in choice
    }
    for name, folder in study_file.study.folders.items():
        if not written[name].startswith("."):
            continue
        if not folder.is_dir():
            raise UserError(f"workload '{name}': there is no folder {folder} to ship")
        if not folder.is_relative_to(root.resolve()):
            raise UserError(
                f"workload '{name}': {written[name]} is outside of {root}, which is shipped; run "
                f"this from a folder that holds both, or name a folder of the cluster by its "
                f"whole path"
            )
        yield root / folder.relative_to(root.resolve())


def _take_data(data: Path, name: Path, cargo: _Cargo) -> None:
    """Ship a folder of data as it is: the files that make its version, hidden ones too."""
    for path in sorted(data.rglob("*")):
        if path.is_file():
            cargo.take(path, name / path.relative_to(data))
        elif path.is_symlink() and path.is_dir():
            raise UserError(f"{path} is a link to a folder, which data cannot have: copy it there")


def _digest(folder: Path, run_options: Sequence[str]) -> str:
    """Return what differs if the run would: not with a commit that leaves the code as it is."""
    total = hashlib.sha256(json.dumps(list(run_options)).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if not name.parts[0].endswith(_METADATA):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name}\n{content}\n".encode())
    return total.hexdigest()[:16]
