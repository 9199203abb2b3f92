"""The studies whose ledgers are kept in this repository."""

from pathlib import Path
from typing import NamedTuple

from analysis.report.numbers import Numbers, compute
from analysis.report.study_data import StudyData, load_study_data

REFERENCE = Path("analysis/reference")


class Studied(NamedTuple):
    """A study whose ledger is kept, and everything that can be told of it."""

    data: StudyData
    numbers: Numbers


def studied(root: Path) -> dict[str, Studied]:
    """Read every ledger that is kept, by the name of its study.

    Args:
        root: Of the repository.
    """
    folders = sorted(path.parent for path in (root / REFERENCE).glob("*/wanted.parquet"))
    read = {folder.name: load_study_data([folder]) for folder in folders}
    return {name: Studied(data, compute(data)) for name, data in read.items()}
