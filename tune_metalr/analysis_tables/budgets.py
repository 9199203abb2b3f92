"""What `budgets` prints, and what a run ends with."""

from collections.abc import Iterator
from itertools import groupby

import pandas as pd
from rich.console import Console

from analysis import catching_up, summary
from analysis.catching_up import LEADS_AT, CatchingUp
from analysis.enough import lack_of_runs
from analysis.load import load_searches, load_trials
from analysis.provenance import TIME_COLUMNS, doubtful_times
from analysis.summary import MethodSummary
from analysis.written import INTERVALS, budget, number, percent, points
from tune_metalr.analysis_tables.break_even import print_break_even
from tune_metalr.analysis_tables.development import print_development
from tune_metalr.cli_tables import table
from tune_metalr.errors import UserError, nearest
from tune_metalr.evidence import FEWEST_REPEATS
from tune_metalr.ledger import Ledger
from tune_metalr.search_results import edge_notes, search_results
from tune_metalr.store import Location
from tune_metalr.trial import MISSING, Role, Status

_TROUBLES = (Status.DIVERGED, Status.PRUNED, Status.FAILED, MISSING)

_FEW_RERUNS = 0.5


def print_budgets(folder: Location, console: Console, *, method: str | None = None) -> None:
    """Print what each method scored and cost, and how much tuning catches up with it.

    Args:
        folder: Of one study's results.
        console: To print on.
        method: Untuned method to be told about; all, if not given.

    Raises:
        UserError: The folder holds no results, or no such method.
    """
    columns = {*summary.COLUMNS, *catching_up.COLUMNS, *TIME_COLUMNS, "controller"}
    trials = load_trials(folder, columns=columns)
    searches = load_searches(folder, columns=columns)
    if method is not None and method not in set(trials["method"]):
        raise UserError(f"unknown method '{method}'{nearest(method, set(trials['method']))}")
    methods = summary.summarize(trials)
    _print_methods(methods, console)
    if searches.empty:
        console.print("No searches: a budget to match needs a study with a 'searches' section.")
    else:
        rows = _print_budgets(trials, searches, console, method=method)
        run_seconds = {(each.workload, each.method): each.device_seconds for each in methods}
        controllers = dict(trials.dropna(subset="controller")[["method", "controller"]].to_numpy())
        print_break_even(rows, controllers, run_seconds, console)
        for note in edge_notes(search_results(Ledger(folder))):
            console.print(f"At the edge: {note}.", soft_wrap=True)
        if lack := lack_of_runs(trials, searches):
            console.print(lack, soft_wrap=True)
    for doubt in doubtful_times(trials, searches):
        console.print(doubt, soft_wrap=True)
    print_development(folder, console)


def _print_budgets(
    trials: pd.DataFrame, searches: pd.DataFrame, console: Console, *, method: str | None
) -> list[CatchingUp]:
    """Print how much tuning catches up with each method, or with one; return what was told."""
    answers = catching_up.catching_up(trials, searches)
    shown = [row for row in answers.rows if method in (None, row.method)]
    for workload, group in groupby(shown, key=lambda row: row.baseline.workload):
        _print_catching_up(workload, list(group), console)
    if shown:
        _explain_budgets(shown, console)
    else:
        console.print("No budget to match yet.")
    for reason in answers.left_out:
        console.print(f"Left out: {reason}", soft_wrap=True)
    return shown


def _print_methods(rows: list[MethodSummary], console: Console) -> None:
    troubles = [kind for kind in _TROUBLES if any(row.counts[kind] for row in rows)]
    all_runs = ["all runs, %"] if troubles and troubles != [MISSING] else []
    shown = table(
        ["workload", "method"],
        ["completed", *troubles, "test accuracy, %", *all_runs, "gradients", "device-s"],
    )
    for row in rows:
        is_untuned = row.role == Role.BASELINE
        shown.add_row(
            row.workload,
            row.method if is_untuned else f"{row.method} ({row.role})",
            f"{row.counts[Status.COMPLETED]} of {row.wanted}",
            *(_trouble(row, kind) for kind in troubles),
            percent(row.completed_score, broken=bool(all_runs)),
            *(percent(row.score, broken=True) for _ in all_runs),
            number(row.gradient_evaluations),
            number(row.device_seconds),
        )
    console.print(shown)
    console.print(
        "Test accuracy: mean of completed runs, one per seed. "
        + "All runs: one without a score counts as guessing, or as the worst run. " * bool(all_runs)
        + f"Gradients and device-seconds: of one run. {INTERVALS}"
    )


def _trouble(row: MethodSummary, kind: str) -> str:
    """Return a count; of divergence, the share with its interval too."""
    count = row.counts[kind]
    if kind == Status.DIVERGED and row.diverged and count:
        low, high = (100 * end for end in row.diverged[1:])
        return f"{count}\n[{low:.0f}, {high:.0f}] %"
    return str(count or "")


def _print_catching_up(workload: str, rows: list[CatchingUp], console: Console) -> None:
    shown = table(
        ["method", "tuned by"], ["trials", "more than", "gradients", "runs' worth", "device-s"]
    )
    console.print()
    shown.title = f"{workload}: tuning until the baseline has caught up"
    for row in rows:
        shown.add_row(
            row.method,
            row.baseline.label,
            budget(row.trials) + "*" * (row.rerun_share < _FEW_RERUNS),
            number(row.trials.more_than) if row.trials.more_than else "",
            budget(row.gradient_evaluations),
            budget(row.cost_ratio),
            budget(row.device_seconds),
        )
    console.print(shown)
    leads = table(
        ["method", "tuned by"], [*(f"lead at {n}" for n in LEADS_AT), "deployed model, trials"]
    )
    console.print()
    leads.title = f"{workload}: lead of the untuned method after n trials of tuning, % points"
    for row in rows:
        leads.add_row(
            row.method,
            row.baseline.label,
            *(points(row.leads[n], broken=True) for n in LEADS_AT),
            budget(row.deployed, broken=True),
        )
    console.print(leads)


def _explain_budgets(rows: list[CatchingUp], console: Console) -> None:
    console.print()
    console.print(
        f"Budgets: until the configuration that the search selects reaches the method's mean on "
        f"fresh seeds; every trial is charged, however it ended. {INTERVALS} 'never': not within "
        f"the budgets that the trials tell of. 'More than': a one-sided 95 % claim. Deployed "
        f"model: what n trials of tuning select, against the best of n restarts of the method."
    )
    if any(row.rerun_share < _FEW_RERUNS for row in rows):
        console.print(
            "* Less than half of what is selected there was run again on fresh seeds. The rest "
            "counts by its own run, whose luck selection favours: the budget is rather too small."
        )
    baselines = {id(row.baseline): row for row in rows}.values()
    if any(row.baseline.is_independent for row in baselines):
        console.print("A random search of n trials tells of budgets to n / 4.")
    for row in baselines:
        for note in _notes(row):
            console.print(f"{row.baseline.workload}, '{row.baseline.label}': {note}.")


def _notes(row: CatchingUp) -> Iterator[str]:
    baseline = row.baseline
    if baseline.is_population:
        yield "its trials are rounds, parts of runs: compare gradients, not trials"
    if row.is_range and baseline.num_repeats == 1:
        yield f"a single search has no interval, which takes {FEWEST_REPEATS}"
    elif row.is_range:
        yield (
            f"brackets are the range over {baseline.num_repeats} repeats, not an interval, which "
            f"takes {FEWEST_REPEATS}"
        )
    if not baseline.is_independent and len(set(baseline.lengths)) > 1:
        told = min(length for length in baseline.lengths if length)
        lengths = ", ".join(str(length) for length in baseline.lengths)
        yield f"its repeats have {lengths} trials so far; told to {told}, of those that have any"
    if missing := baseline.counts[MISSING]:
        yield f"{missing} trials are missing"
