"""Writes the report of one study, or of several joined."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.report import sections
from analysis.report.drawing import Images, Styles, drawn
from analysis.report.numbers import Numbers, compute
from analysis.report.page import Contents, to_html, to_markdown
from analysis.report.section import Section
from analysis.report.study_data import StudyData, load_study_data
from analysis.report.styles import styles
from analysis.report.table import to_csv
from tune_metalr.storage import write_whole

PAGE = "index.html"


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page, its Markdown, and every table and figure as files of their own.

    Args:
        folders: Of the results of one study, or of several that are told as one.
        out: Where to write; `report` in the first folder if not given.

    Returns:
        The path of the page.

    Raises:
        UserError: A folder holds no results, or what it holds cannot be told.
        OSError: Something cannot be written.
    """
    data = load_study_data(list(folders))
    numbers = compute(data)
    contents = _contents(data, numbers)
    target = out or folders[0] / "report"
    if out is None:  # a folder that a user names may hold figures of others
        _clear(target)
    # What a power cut takes can be written again: to wait for the disk 40 times helps nobody.
    for name, image in contents.images.items():
        write_whole(target / "figures" / f"{name}.svg", image.svg.encode(), durable=False)
        write_whole(target / "figures" / f"{name}.png", image.png, durable=False)
    for table in (table for section in contents.sections for table in section.tables):
        csv = target / "tables" / f"{table.name}.csv"
        write_whole(csv, to_csv(table).encode(), durable=False)
    write_whole(target / "report.md", to_markdown(contents).encode())
    write_whole(target / PAGE, to_html(contents).encode())
    return target / PAGE


def _clear(target: Path) -> None:
    """Remove an earlier report's tables and figures: they may be of what is no longer there."""
    for pattern in ("figures/*.svg", "figures/*.png", "tables/*.csv"):
        for path in target.glob(pattern):
            path.unlink()


def _contents(data: StudyData, numbers: Numbers) -> Contents:
    parts = sections.all_sections(data, numbers)
    looks = styles(_names(data, numbers, parts))
    return Contents(
        title=data.name,
        sections=parts,
        images=_images(parts, looks),
        styles=looks,
        commands=data.commands,
        studies=data.studies,
    )


def _names(data: StudyData, numbers: Numbers, parts: Iterable[Section]) -> list[str]:
    """Return every method in the study's order, then searches, then what else figures show."""
    found = [str(method) for method in data.trials["method"].unique()]
    found += [baseline.label for baseline in numbers.baselines]
    found += [name for part in parts for figure in part.figures for name in figure.names]
    return found


def _images(parts: Iterable[Section], looks: Styles) -> dict[str, Images]:
    figures = (figure for part in parts for figure in part.figures)
    return {figure.name: drawn(figure, looks) for figure in figures}
