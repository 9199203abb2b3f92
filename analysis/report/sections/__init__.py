"""The sections of the report, one file each, in the order of the page."""

from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.sections import (
    answer,
    budgets,
    counts,
    differences,
    methods,
    paths,
    searches,
    sensitivity,
    times,
)
from analysis.report.study_data import StudyData

IN_ORDER = (
    answer,
    methods,
    budgets,
    differences,
    times,
    paths,
    sensitivity,
    searches,
    counts,
)


def all_sections(data: StudyData, numbers: Numbers) -> list[Section]:
    """Return the report's sections; one of which nothing is known says so."""
    return [each.section(data, numbers) for each in IN_ORDER]
