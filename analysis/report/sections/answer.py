"""First of all: the answer, in sentences made from the numbers."""

from analysis.report.numbers import Numbers
from analysis.report.section import Section
from analysis.report.sentences import answers, warnings
from analysis.report.study_data import StudyData
from analysis.written import INTERVALS

_SHOWN = 8
"""Sentences that are not folded."""


def section(data: StudyData, numbers: Numbers) -> Section:
    """Return what each untuned method reached, and how much tuning it replaces."""
    told = answers(numbers)
    nothing = "No trial of an untuned method has been run: there is no answer yet."
    return Section(
        "answer",
        "The answer",
        warnings=tuple(warnings(data, numbers)),
        sentences=tuple(told[:_SHOWN] or [nothing]),
        more=tuple(told[_SHOWN:]),
        notes=(
            f"Test accuracy, mean over seeds; a run without a score counts as guessing, or as the "
            f"worst run. {INTERVALS} A budget is the number of tuning trials at which the tuned "
            f"configuration's expected test accuracy reaches the method's.",
        )
        if told
        else (),
    )
