"""Every generated page says what the ledgers beside it say."""

import math
import re

import pytest

from analysis.publishing.__main__ import publish
from analysis.publishing.pages import FIRST_STUDY, left_over, pages
from analysis.publishing.studied import REFERENCE, studied
from tests.conftest import REPOSITORY
from tests.ledgers import MadeUpLedger
from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger

REMEDY = "run `python -m analysis.publishing` and commit what it writes"
STUDIES = sorted(path.parent for path in (REPOSITORY / REFERENCE).glob("*/wanted.parquet"))


@pytest.fixture(scope="module")
def made():
    return dict(pages(REPOSITORY, studied(REPOSITORY)))


def test_every_number_of_the_generated_pages_comes_from_the_ledgers(made):
    assert REPOSITORY / "README.md" in made
    written = {path: path.read_text(encoding="utf-8") for path in made if path.is_file()}
    assert [str(path) for path in made if path not in written] == [], REMEDY
    changed = [str(path) for path, text in made.items() if not is_same(path, written[path], text)]
    assert changed == [], REMEDY
    assert left_over(REPOSITORY, set(made)) == [], REMEDY


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_what_is_published_is_the_study_of_that_name(folder):
    shipped = (REPOSITORY / "studies" / f"{folder.name}.yaml").read_text(encoding="utf-8")
    ledger = Ledger(folder)
    assert ledger.study_text() == shipped
    study = f"studies/{folder.name}.yaml"
    assert ledger.command() == ["tune-metalr", "run", study, "--results", str(REFERENCE)]


def test_what_is_kept_is_small():
    files = [path for path in (REPOSITORY / REFERENCE).rglob("*") if path.is_file()]
    kept = [path for path in files if not {"unfinished", "report"} & {*path.parts}]
    assert sum(path.stat().st_size for path in kept) < 10 * 2**20


def is_same(path, text, other):
    """Return whether texts are the same, but for what another processor makes of last digits.

    What a reader sees is compared as it is; figures and tables hold more digits than that.
    """
    if path.suffix not in (".csv", ".svg"):
        return text == other
    number = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-?\d+")
    if number.split(text) != number.split(other):
        return False
    near = {"rel_tol": 1e-6} if path.suffix == ".csv" else {"abs_tol": 1e-4}
    pairs = zip(number.findall(text), number.findall(other), strict=True)
    return all(math.isclose(float(a), float(b), **near) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "text", "other", "expected"),
    [
        ("a.csv", "x,0.123456789", "x,0.1234567888", True),
        ("a.csv", "x,0.00001", "x,0.000003", False),
        ("a.csv", "x,0.1", "y,0.1", False),
        ("a.svg", "L 100.5", "L 100.499999", True),
        ("a.svg", "L 100.5", "L 100.6", False),
        ("a.md", "98.59 [98.50, 98.67]", "98.59 [98.50, 98.68]", False),
    ],
)
def test_only_last_digits_of_figures_and_tables_may_differ(tmp_path, name, text, other, expected):
    assert is_same(tmp_path / name, text, other) is expected


@pytest.fixture
def root(tmp_path):
    """A repository with results of two studies, one of which has run nothing yet."""
    (tmp_path / "README.md").write_text(
        "# T\n\n<!-- begin first table: by a command -->\n<!-- end first table -->\nrest\n"
    )
    first = MadeUpLedger(tmp_path / REFERENCE / FIRST_STUDY)
    first.add_method("adamw", [0.5, 0.52], purpose="development")
    first.add_method("metalr", [0.6, 0.62], learning_rates=[0.1, 0.05])
    first.add_search("adamw", [0.4] * 20)
    first.finish()
    other = MadeUpLedger(tmp_path / REFERENCE / "other")
    other.add_method("adam", [None])
    other.finish()
    return tmp_path


def test_pages_are_written_and_those_of_before_removed(root):
    old = [root / REFERENCE / "other" / name for name in ("tables/old.csv", "figures/old.svg")]
    for path in old:
        path.parent.mkdir(parents=True)
        path.write_text("old")
    publish(root)
    assert not any(path.exists() for path in old)
    readme = (root / "README.md").read_text()
    assert "| `metalr` | 0 | 61.00" in readme
    assert readme.endswith("rest\n")
    overview = (root / REFERENCE / "README.md").read_text()
    assert f"[{FIRST_STUDY}]({FIRST_STUDY}/report.md) | 24 of 24" in overview
    assert "[other](other/report.md) | 0 of 1" in overview
    assert "**digits-cnn**, all examples, 4 epochs. metalr, 0 trials: 61.00" in overview
    assert "learning-rate-experiment-cpu: not run yet." in overview
    assert (root / REFERENCE / FIRST_STUDY / "tables/methods.csv").is_file()
    assert (root / REFERENCE / "first.svg").is_file()


def test_made_twice_they_are_the_same(root):
    publish(root)
    first = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    publish(root)
    assert first == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_without_the_study_of_the_readme_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match=f"holds no results of {FIRST_STUDY}"):
        publish(tmp_path)
    assert list(tmp_path.rglob("*")) == []
