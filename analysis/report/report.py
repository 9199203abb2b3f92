"""Writes the report of one study, or of several joined."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from analysis.report import sections
from analysis.report.drawing import Images, Styles, drawn
from analysis.report.numbers import Numbers, compute
from analysis.report.page import Contents, to_html, to_markdown
from analysis.report.section import Section
from analysis.report.study_data import StudyData, load_study_data
from analysis.report.styles import styles
from analysis.report.table import to_csv
from tune_metalr.store import Location, Store, below, open_store

PAGE = "index.html"


def write_report(folders: Sequence[Location], out: Location | None = None) -> str | Path:
    """Write the page, its Markdown, and every table and figure as files of their own.

    Args:
        folders: Of the results of one study, or of several that are told as one.
        out: Where to write, a path or a URI; `report` in the first folder if not given.

    Returns:
        The path of the page.

    Raises:
        UserError: A folder holds no results, or what it holds cannot be told.
        OSError: Something cannot be written.
    """
    data = load_study_data(list(folders))
    numbers = compute(data)
    contents = contents_of(data, numbers)
    place = out or below(folders[0], "report")
    target = open_store(place)
    if out is None:  # a folder that a user names may hold figures of others
        _clear(target)
    # What a power cut takes can be written again: to wait for the disk 40 times helps nobody.
    for name, text in text_files(contents):
        target.write(name, text.encode(), durable=False)
    for name, image in contents.images.items():
        target.write(f"figures/{name}.png", image.png, durable=False)
    target.write(PAGE, to_html(contents).encode())
    return below(place, PAGE)


def text_files(contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the report in Markdown, of its tables and of its figures."""
    yield "report.md", to_markdown(contents)
    for table in (table for section in contents.sections for table in section.tables):
        yield f"tables/{table.name}.csv", to_csv(table)
    for name, image in contents.images.items():
        yield f"figures/{name}.svg", image.svg


def contents_of(data: StudyData, numbers: Numbers) -> Contents:
    """Return what the page and its Markdown show."""
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


def _clear(target: Store) -> None:
    """Remove an earlier report's tables and figures: they may be of what is no longer there."""
    for name in (*target.names("figures/"), *target.names("tables/")):
        if name.endswith((".svg", ".png", ".csv")):
            target.delete(name)


def _names(data: StudyData, numbers: Numbers, parts: Iterable[Section]) -> list[str]:
    """Return every method in the study's order, then searches, then what else figures show."""
    found = [str(method) for method in data.trials["method"].unique()]
    found += [baseline.label for baseline in numbers.baselines]
    found += [name for part in parts for figure in part.figures for name in figure.names]
    return found


def _images(parts: Iterable[Section], looks: Styles) -> dict[str, Images]:
    figures = (figure for part in parts for figure in part.figures)
    return {figure.name: drawn(figure, looks) for figure in figures}
