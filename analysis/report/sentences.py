"""The answer in sentences, each made from the numbers of one method on one workload."""

from collections.abc import Sequence

from analysis import written
from analysis.catching_up import CatchingUp
from analysis.comparison import Comparison, Family
from analysis.enough import lack_of_runs
from analysis.matching import NEVER
from analysis.report.numbers import Numbers
from analysis.report.study_data import StudyData
from analysis.summary import MethodSummary
from tune_metalr.trial import MISSING, Role, Status

_FLAGSHIP, _FIXED = "metalr", "fixed"


def answers(numbers: Numbers) -> list[str]:
    """Return a sentence or two for each untuned method on each workload that has any run.

    Methods that set the rate themselves come first: the question is about them.
    """
    untuned = [row for row in numbers.summaries if row.role == Role.BASELINE and row.score]
    ordered = sorted(untuned, key=lambda row: _place(numbers.controllers.get(row.method, _FIXED)))
    return [answer(row, numbers) for row in ordered]


def _place(controller: str) -> int:
    """Return what sorts methods: MetaLR, other controllers, fixed rates and schedules."""
    return {_FLAGSHIP: 0, _FIXED: 2}.get(controller, 1)


def answer(row: MethodSummary, numbers: Numbers) -> str:
    """Return what one method reached without tuning, and how much tuning matches it."""
    rivals = [
        each
        for each in numbers.answers.rows
        if (each.baseline.workload, each.method) == (row.workload, row.method)
    ]
    told = [matching_sentence(each) for each in rivals]
    if not told:
        told = [comparison_sentence(each) for each in _comparisons(row, numbers.family)]
    return " ".join([f"{row.workload}: {score_sentence(row)}", *told])


def score_sentence(row: MethodSummary) -> str:
    """Return the mean score of all runs, what it is of, and what is missing."""
    ran = row.wanted - row.counts[MISSING]
    runs = f"{ran} run" if ran == 1 else f"{ran} runs"
    of = f"{runs} of {row.wanted}" if ran < row.wanted else runs
    failed = ran - row.counts[Status.COMPLETED]
    without = f", {failed} of them without a score" if failed else ""
    return f"{row.method}, 0 trials: {percent(row)} ({of}{without})."


def percent(row: MethodSummary) -> str:
    """Return the mean accuracy of all runs in percent, with its interval."""
    assert row.score is not None
    text = written.percent(row.score)
    return text.replace(" [", " % [", 1)


def matching_sentence(each: CatchingUp) -> str:
    """Return how many trials a tuned baseline needs to match a method."""
    name, match = each.baseline.label, each.trials
    is_single = each.is_range and each.baseline.num_repeats == 1
    ends = written.ends(match)
    if match.budget == NEVER:
        told = f"{name} does not match it within {_trials(match.within)}{ends}"
    else:
        told = f"{name} needs {_trials(match.budget)}{ends} to match"
    if match.more_than:
        told += f", more than {written.compact(match.more_than)} by a one-sided 95 % bound"
    if is_single:
        return f"{told} (a single search: no interval)."
    return f"{told}{' (range over repeats)' if each.is_range else ''}."


def comparison_sentence(row: Comparison) -> str:
    """Return how a method stands against the reference."""
    points = written.points(row.difference).replace(" [", " points [", 1)
    return f"Against {row.reference}, {row.num_pairs} paired seeds: {points}, {row.verdict}."


def completeness(numbers: Numbers, data: StudyData) -> str:
    """Return how much of the study has been run; empty if all has."""
    wanted, missing = total_and_missing(numbers, data)
    if not missing:
        return ""
    return (
        f"Unfinished: {missing} of {wanted} trials have not been run. Every number here is of "
        f"what there is, and will change."
    )


def warnings(data: StudyData, numbers: Numbers) -> list[str]:
    """Return what keeps numbers from being a claim: lost, missing or few runs, development."""
    development = sum(runs.development for runs in data.development)
    recorded = sum(runs.recorded for runs in data.development)
    told = (
        _damage(data),
        completeness(numbers, data),
        lack_of_runs(data.trials, data.searches),
        f"Development: {development} of {recorded} recorded trials were run while a method was "
        f"being designed on these workloads; it may have been fitted to them."
        if development
        else "",
    )
    return [sentence for sentence in told if sentence]


def _damage(data: StudyData) -> str:
    """Return how many files of the ledger cannot be read; empty if all can."""
    count = len(data.damaged)
    if not count:
        return ""
    files = "1 file of the ledger is" if count == 1 else f"{count} files of the ledger are"
    return (
        f"Damaged: {files} left out, and what was in there counts as not run; the last section "
        f"tells why. Running the study again sets such files aside and runs these trials."
    )


def total_and_missing(numbers: Numbers, data: StudyData) -> tuple[int, int]:
    """Return the trials that the study wants, and those not run.

    Those of searches and of their winners are among them, known or not.
    """
    rows: Sequence[MethodSummary] = numbers.summaries
    asked = sum(baseline.counts.total() for baseline in numbers.baselines)
    unrun = sum(baseline.counts[MISSING] for baseline in numbers.baselines)
    unknown = max(0, data.wanted_proposals - asked) + data.awaited_winner_runs
    wanted = sum(row.wanted for row in rows) + asked + unknown
    missing = sum(row.counts[MISSING] for row in rows) + unrun + unknown
    return wanted, missing


def _comparisons(row: MethodSummary, family: Family | None) -> list[Comparison]:
    if family is None:
        return []
    return [
        each
        for each in family.comparisons
        if (each.workload, each.method) == (row.workload, row.method)
        and each.difference is not None
    ]


def _trials(count: float) -> str:
    return f"{written.compact(count)} {'trial' if count == 1 else 'trials'}"
