"""What `budgets` prints, and what a run ends with."""

from itertools import groupby
from pathlib import Path

from rich.console import Console

from analysis import catching_up, summary
from analysis.budgets import FEWEST_REPEATS
from analysis.catching_up import LEADS_AT, CatchingUp
from analysis.load import load_searches, load_trials
from analysis.summary import MISSING, MethodSummary
from tune_metalr.analysis_tables.numbers import INTERVALS, budget, number, percent, points
from tune_metalr.cli_tables import table
from tune_metalr.errors import UserError, nearest
from tune_metalr.trial import Status

_TROUBLES = (Status.DIVERGED, Status.PRUNED, Status.FAILED, MISSING)


def print_budgets(folder: Path, console: Console, *, method: str | None = None) -> None:
    """Print what each method scored and cost, and how much tuning catches up with it.

    Args:
        folder: Of one study's results.
        console: To print on.
        method: Untuned method to be told about; all, if not given.

    Raises:
        UserError: The folder holds no results, or no such method.
    """
    columns = {*summary.COLUMNS, *catching_up.COLUMNS}
    trials = load_trials(folder, columns=columns)
    searches = load_searches(folder, columns=columns)
    if method is not None and method not in set(trials["method"]):
        raise UserError(f"unknown method '{method}'{nearest(method, set(trials['method']))}")
    _print_methods(summary.summarize(trials), console)
    if searches.empty:
        console.print("No searches: a budget to match needs a study with a 'searches' section.")
        return
    rows = catching_up.catching_up(trials, searches)
    shown = [row for row in rows if method in (None, row.method)]
    if not shown:
        console.print("No budget to match: it takes an untuned method and 8 trials of a search.")
        return
    for workload, group in groupby(shown, key=lambda row: row.baseline.workload):
        _print_catching_up(workload, list(group), console)
    _explain_budgets(shown, console)


def _print_methods(rows: list[MethodSummary], console: Console) -> None:
    troubles = [kind for kind in _TROUBLES if any(row.counts[kind] for row in rows)]
    all_runs = ["all runs, %"] if troubles and troubles != [MISSING] else []
    shown = table(
        ["workload", "method"],
        ["completed", *troubles, "test accuracy, %", *all_runs, "gradients", "device-s"],
    )
    for row in rows:
        shown.add_row(
            row.workload,
            row.method,
            f"{row.counts[Status.COMPLETED]} of {row.wanted}",
            *(str(row.counts[kind] or "") for kind in troubles),
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


def _print_catching_up(workload: str, rows: list[CatchingUp], console: Console) -> None:
    shown = table(["method", "tuned by"], ["trials", "gradients", "runs' worth", "device-s"])
    console.print()
    shown.title = f"{workload}: tuning until the baseline has caught up"
    for row in rows:
        shown.add_row(
            row.method,
            row.baseline.label,
            budget(row.trials),
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
    console.print(
        f"Budgets: until the configuration that the search selects reaches, on fresh seeds, the "
        f"method's mean; every trial is charged, however it ended. {INTERVALS} A random search of "
        f"n trials tells of budgets to n / 4. Deployed model: what n trials of tuning select, "
        f"against the best of n restarts of the method."
    )
    for baseline in {row.baseline.label: row.baseline for row in rows if row.is_range}.values():
        console.print(
            f"'{baseline.label}' has {baseline.num_repeats} repeats: the brackets are the range "
            f"over them, not an interval, which takes {FEWEST_REPEATS}."
        )
    own = {r.baseline.label: r.rerun_share for r in rows if r.rerun_share < 0.5}
    if own:
        shares = ", ".join(f"{label} {100 * share:.0f} %" for label, share in own.items())
        console.print(
            f"Of what is selected, this much was run again on fresh seeds, and the rest counts by "
            f"its own run: {shares}."
        )
    for row in {id(row.baseline): row for row in rows}.values():
        if missing := row.baseline.counts[MISSING]:
            console.print(
                f"{row.baseline.workload}, '{row.baseline.label}': {missing} trials are missing."
            )
