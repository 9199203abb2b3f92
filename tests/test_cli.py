"""The command line as a user meets it."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.conftest import REPOSITORY, SMALL_STUDY, tune_metalr
from tests.test_ledger import full_row, trial
from tune_metalr.ledger import Ledger
from tune_metalr.proposals import SAMPLERS
from tune_metalr.trial import Role, WantedTrial

BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'ray', 'optuna'}:
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Blocked())
"""


def python(code, *arguments):
    command = [sys.executable, "-c", BLOCK + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "study")
    ledger.create()
    wanted = [WantedTrial(trial(seed), Role.BASELINE, "sgd", 0.9) for seed in range(2)]
    command = ["tune-metalr", "run", "my study.yaml"]
    ledger.write_study("name: study\n", wanted, command)
    ledger.record(full_row(0))
    return ledger


@pytest.mark.parametrize(
    "code",
    [
        "import tune_metalr",
        "from analysis.load import load_trials; assert len(load_trials(sys.argv[1])) == 2",
        "from tune_metalr.cli import app; app(['status', sys.argv[1]], standalone_mode=False)",
        "from tune_metalr.cli import app; app(['budgets', sys.argv[1]], standalone_mode=False)",
        "from tune_metalr.cli import app; app(['compare', *sys.argv[1:] * 2], standalone_mode=False)",
        "from tune_metalr.cli import app; app(['report', sys.argv[1]], standalone_mode=False)",
        "from tune_metalr.cli import app; app(['schema'], standalone_mode=False)",
        "from tune_metalr.cli import app; app(['list', 'methods'], standalone_mode=False)",
    ],
)
def test_looking_at_results_needs_neither_torch_ray_nor_optuna(ledger, code):
    result = python(code, ledger.store.root)
    assert result.returncode == 0, result.stderr


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'ray', 'optuna', 'pandas', 'pyarrow', 'numpy', 'pydantic', 'datasets'}"
    result = python(f"import tune_metalr.cli; assert not {heavy} & set(sys.modules)")
    assert result.returncode == 0, result.stderr
    result = tune_metalr("--help")
    assert result.returncode == 0
    for command in ("run", "plan", "status", "list", "schema"):
        assert f"\n  {command} " in result.stdout


def test_the_version_is_told():
    result = tune_metalr("--version")
    assert result.returncode == 0
    assert result.stdout == f"tune-metalr {version('tune-metalr')}\n"


def test_a_report_is_not_written_over_a_file(ledger, tmp_path):
    place = tmp_path / "notes.txt"
    place.write_text("mine")
    result = tune_metalr("report", ledger.store.root, "--out", place)
    assert result.returncode == 2
    assert result.stderr == f"tune-metalr: {place} is a file: name a folder\n"
    assert place.read_text() == "mine"


def test_status_counts_cells_and_names_the_command_that_completes(ledger):
    result = tune_metalr("status", ledger.store.root)
    assert result.returncode == 0
    assert "1 of 2 trials have no result" in result.stdout
    assert "tune-metalr run 'my study.yaml'" in result.stdout


def test_the_schema_is_json():
    schema = json.loads(tune_metalr("schema").stdout)
    assert schema["title"] == "Study"


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("workloads", ["digits-cnn", "mnist-cnn"]),
        ("methods", ["sgd", "nadamw", "rmsprop", "cosine", "reduce-on-plateau", "fixed"]),
        (
            "methods",
            ["hypergradient", "online-mlp", "policy-gradient", "lr-finder", "prior", "metalr"],
        ),
        ("methods", ["algoperf-nadamw-cosine", "algoperf-nadamw-linear"]),
        ("samplers", SAMPLERS),
    ],
)
def test_lists_name_what_a_study_can(what, names):
    output = tune_metalr("list", what).stdout
    assert set(names) <= set(output.split())


def test_a_plan_is_printed(study_path):
    output = tune_metalr("plan", study_path).stdout
    assert "trials (baseline): 6" in output
    assert "gradient steps: 24" in output
    assert "3 paired seeds can reach over 1 comparisons" in output
    assert "0.25" in output


MISTAKES = {
    "an unknown key": (SMALL_STUDY + "sedes: 3\n", [], "did you mean 'seeds'?"),
    "too many examples": (
        SMALL_STUDY.replace("128", "9999"), [], "only 1197 examples are left for training"
    ),
    "no data": (
        SMALL_STUDY.replace("digits-cnn", "mnist-cnn"), ["--data-dir", "nowhere"],
        "point --data-dir or TUNE_METALR_DATA at a folder that holds 'mnist/*.parquet'",
    ),
    "too few CPUs": (
        SMALL_STUDY + "threads_per_trial: 64\n", ["--cpus", "2"],
        "a trial needs 64 CPUs, but there are 2",
    ),
    "far too many CPUs": (SMALL_STUDY, ["--cpus", "9999"], "--cpus 9999: this machine has "),
    "a results folder that is a file": (SMALL_STUDY, ["--results", "study.yaml"], "cannot write to"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "options", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_a_non_zero_exit(tmp_path, monkeypatch, text, options, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    (tmp_path / "study.yaml").write_text(text)
    result = tune_metalr("run", "study.yaml", *options)
    assert result.returncode == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize(("package", "command"), [("typer", "run"), ("pydantic", "run")])
def test_a_package_that_a_cluster_lacks_is_named_in_one_line(study_path, package, command):
    code = (
        "import runpy, sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == '{package}':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"sys.argv = ['tune-metalr', '{command}', {str(study_path)!r}]\n"
        "runpy.run_module('tune_metalr', run_name='__main__')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode in (1, 2)
    assert result.stderr == f"tune-metalr: the package '{package}' is not installed here\n"


def test_a_mistake_of_ours_ends_the_command_though_threads_go_on():
    code = (
        "import threading, time\n"
        "from tune_metalr import cli\n"
        "def app():\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    raise ValueError('ours')\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert "ValueError: ours" in result.stderr
