"""The README's way from a laptop to a cluster, line by line; a head of here stands for AWS."""

import os
import re
import shlex
import signal
import stat
import subprocess

import pytest

from tests.conftest import _OURS, COMMAND, REPOSITORY
from tests.jobs.head import ray_head
from tests.object_storage import BUCKET, object_storage
from tests.readme import code_blocks, section
from tune_metalr.ledger import Ledger
from tune_metalr.status import study_status

HEADING = "## From a laptop to a cluster"
LAUNCHER = {
    "pip install -c constraints.txt -e '.[cluster]'",
    "ray up --disable-usage-stats -y cluster.yaml",
    "ray dashboard cluster.yaml",
    "ray down -y cluster.yaml",
}
"""What needs an account at AWS, or has been done where tests run."""


def lines():
    """Return the commands of the section, in order."""
    text = "".join(code_blocks(HEADING, "sh"))
    return [re.sub(r"\s+#.*", "", line) for line in text.splitlines()]


def test_the_section_is_short():
    assert len(section(HEADING).strip().splitlines()) + 2 <= 40


def test_the_launchers_lines_are_all_there():
    assert set(lines()) >= LAUNCHER


SHORTER = {"seeds: 10": "seeds: 3", "trials: 16": "trials: 8"}
"""Of the quick start: the lines are followed here, and its results are looked at elsewhere."""


@pytest.fixture
def laptop(tmp_path, monkeypatch):
    """A folder as a checkout is, with a shorter quick start."""
    study = (REPOSITORY / "studies/quickstart.yaml").read_text()
    for old, new in SHORTER.items():
        assert old in study
        study = study.replace(old, new)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "quickstart.yaml").write_text(study)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_can_be_followed_from_top_to_bottom(laptop):
    """The study is left to run by itself, looked at, stopped, and gone on with by the same line."""
    home = laptop / "home"
    clean = {name: value for name, value in os.environ.items() if name not in _OURS}
    with object_storage() as service:
        shell = clean | service.environment() | {
            "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(REPOSITORY),
        }  # fmt: skip
        _, token, *rest = lines()
        follow(token, shell)
        file = home / ".ray" / "auth_token"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with ray_head(file.read_text().strip(), num_cpus=2) as head:
            here = [line.replace("http://127.0.0.1:8265", head.url) for line in rest]
            submit, export, status, logs, stop, report = (
                line.replace("BUCKET", BUCKET) for line in here if line not in LAUNCHER
            )
            leave(submit, shell)
            name, _, value = export.removeprefix("export ").partition("=")
            shell[name] = value
            assert ": running. Results: " in follow(status, shell)
            assert " of 43 trials to run." in leave(logs, shell)
            assert " has ended: stopped. To go on: tune-metalr submit " in follow(stop, shell)
            done = study_status(Ledger(f"s3://{BUCKET}/results/quickstart"))
            assert done.num_without_result > 0
            follow(submit, shell)
            follow(report, shell)
        done = study_status(Ledger(f"s3://{BUCKET}/results/quickstart"))
        assert done.num_without_result == 0
    assert (laptop / "report" / "index.html").exists()


def follow(line, shell):
    """Run a line as a user's shell does, with this checkout's command; return what it says."""
    result = subprocess.run(
        words(line), env=shell, capture_output=True, text=True, timeout=1500, check=False
    )
    assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def leave(line, shell):
    """Run a line until the study runs, and press Ctrl-C; return what it has said."""
    said = ""
    with subprocess.Popen(
        words(line), env=shell | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        for text in process.stdout:
            said += text
            if "trials to run" in text:
                os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130, said
    assert "To follow it: tune-metalr logs quickstart-" in said
    return said


def words(line):
    ours = f'tune-metalr() {{ {shlex.join(COMMAND)} "$@"; }}; '
    rays = f'ray() {{ {shlex.join([COMMAND[0], "-m", "ray.scripts.scripts"])} "$@"; }}; '
    return ["bash", "-c", ours + rays + line]
