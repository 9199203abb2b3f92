"""Every page that is generated from the ledgers in `analysis/reference`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from analysis.publishing.against import (
    METALR,
    against_each,
    answers_in_words,
    captions,
    table_against,
)
from analysis.publishing.blocks import with_block
from analysis.publishing.claims import thresholds_table
from analysis.publishing.first_picture import first_picture
from analysis.publishing.first_table import Shown, first_table
from analysis.publishing.meta_training import PAGE, meta_training_page, trainings
from analysis.publishing.studied import REFERENCE, Studied
from analysis.report.report import contents_of, text_files
from analysis.report.sentences import total_and_missing, warnings
from analysis.report.table import markdown_table
from tune_metalr.errors import UserError

FIRST_STUDY = "zero-tuning-cpu"
CLAIMED_STUDY = "learning-rate-experiment-cpu"
_FIRST = Shown(
    methods=(
        METALR,
        "schedule-free-adamw",
        "prodigy-cosine",
        "algoperf-nadamw-cosine",
        "adamw",
    ),
    search="adamw random",
)
_GENERATED = ("*/report.md", "*/tables/*.csv", "*/figures/*.svg")
_STUDIES = ("study", "trials run", "device-hours", "days", "commits (trials)", "command")


def pages(root: Path, studies: Mapping[str, Studied]) -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of every generated file.

    Args:
        root: Of the repository.
        studies: Those whose ledgers are kept.

    Raises:
        UserError: The study of the README's table is not there, or the README has no place for it.
    """
    if FIRST_STUDY not in studies:
        raise UserError(f"{root / REFERENCE} holds no results of {FIRST_STUDY}")
    first = studies[FIRST_STUDY]
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    yield readme, with_block(text, "first table", first_table(first, _FIRST))
    if picture := first_picture(first, _FIRST):
        yield root / REFERENCE / "first.svg", _on_white(picture)
    yield root / REFERENCE / "README.md", "\n\n".join(_overview(studies)) + "\n"
    if found := trainings(root):
        yield root / PAGE, meta_training_page(found)
    for name, study in studies.items():
        for file, content in text_files(contents_of(*study)):
            shown = _on_white(content) if file.endswith(".svg") else content
            yield root / REFERENCE / name / file, shown


def left_over(root: Path, kept: set[Path]) -> list[Path]:
    """Return generated files of before that are none of those that are kept."""
    found = (path for kind in _GENERATED for path in (root / REFERENCE).glob(kind))
    return sorted(set(found) - kept)


def _on_white(svg: str) -> str:
    """Return a figure that can be read on a dark page, too: its texts are dark."""
    return svg.replace("<svg ", '<svg style="background: white" ', 1)


def _overview(studies: Mapping[str, Studied]) -> Iterator[str]:
    yield "# Reference results"
    yield (
        "`python -m analysis.publishing` makes this page and those of the studies from the ledgers "
        "beside them; a test makes them again and compares. No figure here is typed by hand."
    )
    rows = [_study_row(name, study) for name, study in studies.items()]
    yield markdown_table(_STUDIES, rows, is_text=[True] * len(_STUDIES))
    yield "## The question, workload by workload"
    yield from _against(studies[FIRST_STUDY])
    yield "## What was claimed beforehand"
    yield thresholds_table(studies)
    yield "### MetaLR beside fixed rates"
    if study := studies.get(CLAIMED_STUDY):
        yield from _against(study)
    else:
        yield f"{CLAIMED_STUDY}: not run yet."


def _against(study: Studied) -> Iterator[str]:
    rows = against_each(*study, METALR)
    yield from warnings(*study)
    yield from answers_in_words(*study, METALR)
    yield table_against(rows)
    yield from captions(rows, study.data.choices)


def _study_row(name: str, study: Studied) -> tuple[str, ...]:
    wanted, missing = total_and_missing(study.numbers, study.data)
    hours = sum(spent.device_hours for spent in study.numbers.spent)
    days = [day[:10] for day in study.numbers.period or ()]
    commits = next(each for each in study.numbers.versions if each.name == "project_commit")
    return (
        f"[{name}]({name}/report.md)",
        f"{wanted - missing} of {wanted}",
        f"{hours:.1f}",
        " to ".join(dict.fromkeys(days)),
        ", ".join(f"{commit[:7]} ({count})" for commit, count in commits.values),
        "; ".join(f"`{command}`" for command in study.data.commands),
    )
