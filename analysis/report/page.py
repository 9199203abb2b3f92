"""The report as one HTML page that needs nothing else, and as Markdown."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from analysis.report import table
from analysis.report.charts import chart
from analysis.report.drawing import Images, Styles
from analysis.report.inline import inline_svg
from analysis.report.lines import LineFigure
from analysis.report.section import Section

_HERE = files("analysis.report")


class Contents(NamedTuple):
    """What a page shows."""

    title: str
    sections: Sequence[Section]
    images: Mapping[str, Images]
    """By the name of the figure."""
    styles: Styles
    commands: Sequence[str]
    """That reproduce or complete the study."""
    studies: Sequence[str]
    """The YAML of each study."""


def to_html(contents: Contents) -> str:
    """Return the page; every text of the study is escaped."""
    text = {
        name: Markup(_read(*path))  # ours, or vendored: the only texts that are not escaped
        for name, path in {
            "css": ("templates", "page.css"),
            "script": ("templates", "page.js"),
            "uplot_css": ("vendored", "uplot", "uPlot.min.css"),
            "uplot_script": ("vendored", "uplot", "uPlot.iife.min.js"),
            "uplot_licence": ("vendored", "uplot", "LICENSE"),
        }.items()
    }
    template = _environment(autoescape=True).get_template("page.html.jinja")
    return template.render(
        contents=contents,
        charts=_charts(contents),
        svg={name: Markup(inline_svg(image.svg)) for name, image in contents.images.items()},
        **text,
    )


def to_markdown(contents: Contents) -> str:
    """Return the report in Markdown, its figures beside it."""
    environment = _environment(autoescape=False)
    environment.filters["md"] = table.markdown_text
    template = environment.get_template("report.md.jinja")
    return template.render(contents=contents, to_markdown=table.to_markdown)


def _charts(contents: Contents) -> dict[str, list[dict[str, Any]]]:
    """Return what the page's script draws, by the name of the figure."""
    return {
        figure.name: [chart(panel, contents.styles) for panel in figure.panels]
        for section in contents.sections
        for figure in section.figures
        if isinstance(figure, LineFigure)
    }


def _environment(*, autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(*path: str) -> str:
    return _HERE.joinpath(*path).read_text(encoding="utf-8")
