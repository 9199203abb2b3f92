"""What is shipped to a cluster: all that a job needs, and nothing else of the user's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, SMALL_STUDY
from tune_metalr.errors import UserError
from tune_metalr.jobs.shipment import pack
from tune_metalr.provenance import provenance
from tune_metalr.workloads.sources import _content

OWN = """\
import numpy as np
import torch
from tune_metalr import PythonWorkload
from {helper} import SIZE


class Mine(PythonWorkload):
    num_classes = 2
    target_accuracy = 0.9

    def load(self):
        return {{}}

    def build_model(self):
        return torch.nn.Linear(SIZE, 2)
"""
FLOWERS = """\
  - name: flowers
    dataset: {folder}
    image_column: image
    label_column: label
    model: cnn
    target: 0.8
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that the command is run from, with what a user has lying around."""
    folder = tmp_path / "here"
    (folder / "studies").mkdir(parents=True)
    (folder / "results").mkdir()
    (folder / "results" / "secret.txt").write_text("mine")
    (folder / ".env").write_text("AWS_SECRET_ACCESS_KEY=mine")
    (folder / "unused.py").write_text("raise SystemExit")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def ship(tmp_path):
    """Pack a study into a fresh folder."""
    count = iter(range(100))

    def packed(path, **options):
        folder = tmp_path / f"shipped-{next(count)}"
        folder.mkdir()
        return pack(path, folder, **options)

    return packed


def names(shipment):
    """Return what is shipped beside our own code and its metadata."""
    ours = {"tune_metalr", "analysis"}
    metadata = {f"tune_metalr-{provenance()['project_version']}.dist-info/{name}"
                for name in ("METADATA", "direct_url.json")}  # fmt: skip
    found = [
        path.relative_to(shipment.folder) for path in shipment.folder.rglob("*") if path.is_file()
    ]
    return sorted({str(path) for path in found if path.parts[0] not in ours} - metadata)


def python(shipment, *arguments):
    """Run Python as a job does: where the shipment lies, which is looked at first."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=shipment.folder, capture_output=True, text=True,
        env=environment | {"PYTHONPATH": str(shipment.folder)}, timeout=120, check=False,
    )  # fmt: skip


def test_the_shipped_code_runs_and_tells_the_version_and_commit_of_here(here, ship):
    study = here / "studies" / "small.yaml"
    study.write_text(SMALL_STUDY)
    shipment = ship(study)
    code = (
        "import json, tune_metalr, analysis.report.report\n"
        "from tune_metalr.provenance import provenance\n"
        "print(json.dumps([tune_metalr.__file__, provenance()]))"
    )
    result = python(shipment, "-c", code)
    assert result.returncode == 0, result.stderr
    file, told = json.loads(result.stdout)
    assert file.startswith(str(shipment.folder))
    assert told == provenance()
    assert python(shipment, "-m", "tune_metalr", "plan", shipment.study_path).returncode == 0


def test_every_file_that_the_code_reads_is_shipped(here, ship):
    study = here / "small.yaml"
    study.write_text(SMALL_STUDY)
    shipment = ship(study)
    for package in ("tune_metalr", "analysis"):
        for path in (REPOSITORY / package).rglob("*"):
            parts = path.relative_to(REPOSITORY).parts
            if path.is_file() and "__pycache__" not in parts and "reference" not in parts:
                assert (shipment.folder / path.relative_to(REPOSITORY)).is_file()
    assert not (shipment.folder / "analysis" / "reference").exists()


def test_nothing_else_of_the_folder_is_shipped(here, ship):
    study = here / "studies" / "small.yaml"
    study.write_text(SMALL_STUDY)
    shipment = ship(study)
    assert shipment.study_path == "studies/small.yaml"
    assert names(shipment) == ["studies/small.yaml"]


def test_the_users_own_modules_that_a_study_names_go_with_it(here, ship):
    (here / "mine_a.py").write_text(OWN.format(helper="helpers_a.sizes"))
    (here / "helpers_a").mkdir()
    (here / "helpers_a" / "__init__.py").write_text("")
    (here / "helpers_a" / "sizes.py").write_text("SIZE = 3")
    study = here / "own.yaml"
    study.write_text(SMALL_STUDY.replace("digits-cnn\n    train_examples: 128", "mine_a.Mine"))
    shipment = ship(study)
    assert names(shipment) == [
        "helpers_a/__init__.py",
        "helpers_a/sizes.py",
        "mine_a.py",
        "own.yaml",
    ]
    assert python(shipment, "-c", "import mine_a; mine_a.Mine()").returncode == 0


def test_of_a_package_that_pip_has_put_somewhere_nothing_is_shipped(here, ship, monkeypatch):
    libraries = here / "libraries"
    (libraries / "their_sizes-1.dist-info").mkdir(parents=True)
    (libraries / "their_sizes-1.dist-info" / "METADATA").write_text("Name: their-sizes\nVersion: 1")
    (libraries / "their_sizes-1.dist-info" / "RECORD").write_text("their_sizes.py,,\n")
    (libraries / "their_sizes.py").write_text("SIZE = 3")
    monkeypatch.syspath_prepend(libraries)
    (here / "mine_p.py").write_text(OWN.format(helper="their_sizes"))
    study = here / "own.yaml"
    study.write_text(SMALL_STUDY.replace("digits-cnn\n    train_examples: 128", "mine_p.Mine"))
    assert names(ship(study)) == ["mine_p.py", "own.yaml"]


@pytest.mark.parametrize(
    ("folder", "name"), [(".", "mine_c"), ("src", "mine_d"), ("../elsewhere", "mine_e")]
)
def test_modules_are_shipped_from_wherever_python_finds_them(
    here, ship, tmp_path, monkeypatch, folder, name
):
    (here / folder / f"help_{name}").mkdir(parents=True)
    (here / folder / f"help_{name}" / "sizes.py").write_text("SIZE = 3")
    (here / folder / f"{name}.py").write_text(OWN.format(helper=f"help_{name}.sizes"))
    monkeypatch.syspath_prepend(here / folder)
    study = tmp_path / "elsewhere" / "own.yaml"
    study.parent.mkdir(exist_ok=True)
    study.write_text(SMALL_STUDY.replace("digits-cnn\n    train_examples: 128", f"{name}.Mine"))
    assert names(ship(study)) == [f"help_{name}/sizes.py", f"{name}.py", "own.yaml"]


def test_of_a_package_its_code_goes_and_nothing_else(here, ship):
    package = here / "lab_f"
    (package / "reference").mkdir(parents=True)
    (package / ".ipynb_checkpoints").mkdir()
    (package / "__init__.py").write_text(OWN.format(helper="lab_f.reference.sizes"))
    (package / "reference" / "sizes.py").write_text("SIZE = 3")
    (package / "later.py").write_text("")
    (package / ".ipynb_checkpoints" / "later.py").write_text("")
    (package / "credentials.json").write_text("mine")
    (package / "key.pem").write_text("mine")
    (package / "data").symlink_to(here.parent)
    study = here / "own.yaml"
    study.write_text(SMALL_STUDY.replace("digits-cnn\n    train_examples: 128", "lab_f.Mine"))
    assert names(ship(study)) == [
        "lab_f/__init__.py",
        "lab_f/later.py",
        "lab_f/reference/sizes.py",
        "own.yaml",
    ]


def test_a_study_from_elsewhere_is_shipped_alone(here, ship, tmp_path):
    study = tmp_path / "elsewhere.yaml"
    study.write_text(SMALL_STUDY)
    assert names(ship(study)) == ["elsewhere.yaml"]


def test_data_that_a_study_names_as_seen_from_itself_go_with_it(here, ship):
    (here / "data" / "flowers" / "train").mkdir(parents=True)
    (here / "data" / "flowers" / "train" / "one.csv").write_text("1")
    study = here / "studies" / "flowers.yaml"
    study.write_text(SMALL_STUDY.replace("methods:", "methods:", 1).replace(
        "workloads:\n", "workloads:\n" + FLOWERS.format(folder="../data/flowers")
    ))  # fmt: skip
    assert names(ship(study)) == ["data/flowers/train/one.csv", "studies/flowers.yaml"]


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("../../outside", "is outside of"),
        ("./nowhere", "there is no folder"),
    ],
)
def test_data_that_cannot_be_shipped_are_named(here, ship, folder, line):
    (here.parent / "outside").mkdir()
    study = here / "studies" / "flowers.yaml"
    study.write_text(
        SMALL_STUDY.replace("workloads:\n", "workloads:\n" + FLOWERS.format(folder=folder))
    )
    with pytest.raises(UserError, match=f"workload 'flowers': .*{line}"):
        ship(study)


def test_data_named_by_their_whole_path_are_the_clusters(here, ship):
    study = here / "flowers.yaml"
    study.write_text(
        SMALL_STUDY.replace("workloads:\n", "workloads:\n" + FLOWERS.format(folder="/mnt/flowers"))
    )
    assert names(ship(study)) == ["flowers.yaml"]


@pytest.mark.parametrize("place", ["../outside.yaml", "studies/../../outside.yaml"])
def test_a_study_above_the_folder_is_shipped_whole(here, ship, place, tmp_path):
    (tmp_path / "outside.yaml").write_text(SMALL_STUDY)
    before = set(tmp_path.iterdir())
    shipment = ship(Path(place))
    assert names(shipment) == [shipment.study_path] == ["outside.yaml"]
    assert set(tmp_path.iterdir()) - before == {shipment.folder}


def test_a_study_in_this_folder_may_be_named_in_a_roundabout_way(here, ship):
    (here / "small.yaml").write_text(SMALL_STUDY)
    assert names(ship(Path("studies/../small.yaml"))) == ["small.yaml"]


def test_data_are_shipped_as_they_are_so_that_trials_are_the_same_there(here, ship):
    data = here / "data"
    for name in ("train/reference/1.csv", "train/other/1.csv", "train/venv/1.csv", ".DS_Store",
                 "__pycache__/x", ".gitignore"):  # fmt: skip
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("*")
    (data / "train" / "other" / "2.csv").symlink_to(data / "train" / "other" / "1.csv")
    (data / "train" / "gone.csv").symlink_to(data / "nowhere")
    study = here / "flowers.yaml"
    study.write_text(
        SMALL_STUDY.replace("workloads:\n", "workloads:\n" + FLOWERS.format(folder="./data"))
    )
    shipment = ship(study)
    source = shipment.study.workloads[0].definition().source
    assert _content(source, shipment.folder / "data") == _content(source, data)


def test_data_with_a_folder_that_is_a_link_are_refused(here, ship, tmp_path):
    (here / "data").mkdir()
    (tmp_path / "imagenet").mkdir()
    (here / "data" / "train").symlink_to(tmp_path / "imagenet")
    study = here / "flowers.yaml"
    study.write_text(
        SMALL_STUDY.replace("workloads:\n", "workloads:\n" + FLOWERS.format(folder="./data"))
    )
    with pytest.raises(UserError, match="data/train is a link to a folder"):
        ship(study)


def test_too_much_is_refused_before_it_is_sent(here, ship, monkeypatch):
    monkeypatch.setattr("tune_metalr.jobs.shipment._MOST_BYTES", 10)
    (here / "data").mkdir()
    (here / "data" / "one.csv").write_text("1" * 11)
    study = here / "flowers.yaml"
    study.write_text(
        SMALL_STUDY.replace("workloads:\n", "workloads:\n" + FLOWERS.format(folder="./data"))
    )
    with pytest.raises(UserError, match=r"with \S+one.csv it would be more than the 0 MB"):
        ship(study)


def test_the_digest_is_of_everything_that_is_shipped(here, ship):
    study = here / "small.yaml"
    study.write_text(SMALL_STUDY)
    first, same = ship(study), ship(study)
    assert first.digest == same.digest
    study.write_text(SMALL_STUDY.replace("seeds: 3", "seeds: 4"))
    assert ship(study).digest != first.digest


def test_the_digest_is_of_the_way_it_is_run_too_and_not_of_a_commit(here, ship, monkeypatch):
    study = here / "small.yaml"
    study.write_text(SMALL_STUDY)
    first = ship(study, run_options=["--max-hours", "1.0"])
    assert ship(study, run_options=["--max-hours", "2.0"]).digest != first.digest
    later = provenance() | {"project_commit": "0" * 40}
    monkeypatch.setattr("tune_metalr.jobs.shipment.provenance", lambda: later)
    assert ship(study, run_options=["--max-hours", "1.0"]).digest == first.digest
