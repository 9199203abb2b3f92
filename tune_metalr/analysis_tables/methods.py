"""What `compare` prints of the methods of one study."""

from rich.console import Console

from analysis import comparison, speed
from analysis.choices import AnalysisChoices
from analysis.comparison import Family
from analysis.load import load_trials
from analysis.overall import Overall, overall
from analysis.speed import MethodSpeed, Profile
from analysis.written import INTERVALS, p_value, percent, points, time
from tune_metalr.analysis_tables.development import print_development
from tune_metalr.cli_tables import table
from tune_metalr.store import Location


def print_comparison(folder: Location, choices: AnalysisChoices, console: Console) -> None:
    """Print every method against the reference, times to target, and methods over workloads.

    Raises:
        UserError: The folder holds no results, or there is nothing to compare.
    """
    trials = load_trials(folder, columns={*comparison.COLUMNS, *speed.COLUMNS})
    family = comparison.compare_methods(trials, choices)
    _print_family(family, choices, console)
    speeds = speed.times_to_target(trials)
    if speeds:
        _print_speeds(speeds, speed.profile(speeds), console)
    across = overall(trials, family.reference, alpha=choices.alpha)
    if across:
        _print_overall(across, family.reference, console)
    elif trials["workload"].nunique() > 1:
        console.print(
            "No table over workloads: it takes two methods that ran two common seeds on every one."
        )
    print_development(folder, console)


def _print_family(family: Family, choices: AnalysisChoices, console: Console) -> None:
    shown = table(
        ["workload", "method"],
        ["seeds", "accuracy, %", "difference, points", "p (Holm)", "P(better)"],
    )
    shown.add_column("verdict", overflow="fold")
    for row in family.comparisons:
        shown.add_row(
            row.workload,
            row.method,
            str(row.num_pairs),
            "-" if row.score is None else f"{100 * row.score:.2f}",
            points(row.difference),
            p_value(row.holm_p),
            "-"
            if row.probability_of_improvement is None
            else f"{row.probability_of_improvement:.2f}",
            str(row.verdict),
        )
    console.print(shown)
    console.print(
        f"Against '{family.reference}', paired by seed; sign-flip tests, Holm over the "
        f"{choices.family}, alpha {choices.alpha:g}. 'As good': worse by less than "
        f"{choices.margins_told(row.workload for row in family.comparisons)}, if at all. "
        f"{INTERVALS}"
    )
    _warn_of_comparisons(family, console)


def _warn_of_comparisons(family: Family, console: Console) -> None:
    rows = family.comparisons
    if few := sum(row.num_pairs < family.seeds_needed for row in rows):
        console.print(
            f"{few} of {len(rows)} comparisons have fewer than {family.seeds_needed} pairs, "
            f"without which no difference of this family can be significant on its own."
        )
    notes = {
        "runs have no score and count as guessing, or as the worst run": family.runs_without_score,
        "pairs have no score on either side and are left out": sum(
            row.num_without_score for row in rows
        ),
        "pairs lack a run: see 'tune-metalr status'": sum(row.num_missing for row in rows),
        "comparisons leave out seeds that only one of the two methods has": sum(
            row.num_alone > 0 for row in rows
        ),
    }
    for note, count in notes.items():
        if count:
            console.print(f"{count} {note}.")
    if family.left_out:
        console.print(f"Without '{family.reference}', and left out: {', '.join(family.left_out)}.")


def _print_speeds(speeds: list[MethodSpeed], profile: Profile, console: Console) -> None:
    shown = table(
        ["workload", "method"],
        ["target, %", "reached, %", "median epochs", "ERT epochs", "ERT steps", "ERT s"],
    )
    for row in speeds:
        shown.add_row(
            row.workload,
            row.method,
            f"{100 * row.target_accuracy:g}",
            percent(row.epochs.success, digits=0),
            time(row.epochs.median),
            *(time(each.expected) for each in (row.epochs, row.steps, row.seconds)),
        )
    console.print()
    console.print(shown)
    console.print(
        "Time to target on validation. A miss is infinite in the median; ERT, the expected running "
        "time until a success, charges it with what it spent."
    )
    if profile.left_out:
        console.print(f"Not run by every method, and not scored: {', '.join(profile.left_out)}.")
    if len(profile.scores) < 2 or not any(score.exact.score for score in profile.scores):
        return
    console.print(
        f"AlgoPerf score by median epochs [range when one other method is left out], on "
        f"{', '.join(profile.workloads)}:"
    )
    for score in sorted(profile.scores, key=lambda each: -each.exact.score):
        console.print(
            f"  {score.method}: {score.exact.score:.3f} [{score.exact.low:.3f}, "
            f"{score.exact.high:.3f}]; 100-point trapezoid {score.trapezoid:.3f}"
        )


def _print_overall(across: Overall, reference: str, console: Console) -> None:
    shown = table(["method"], ["IQM, %", "difference, points", "P(better)"])
    for place, method in enumerate(across.methods):
        is_reference = method == reference
        shown.add_row(
            method,
            percent(across.across.iqm[place]),
            "" if is_reference else points(across.across.iqm_difference[place]),
            "" if is_reference else f"{across.improvement[place]:.2f}",
        )
    console.print()
    console.print(shown)
    console.print(
        f"Over {', '.join(across.workloads)}, {across.seeds_told}: "
        f"interquartile mean of accuracies scaled to 0 for guessing; differences from "
        f"'{reference}'. {INTERVALS}"
    )
    if across.left_out:
        console.print(f"Not run on every workload, and left out: {', '.join(across.left_out)}.")
    if across.ranking is not None:
        ranks = ", ".join(
            f"{method} {rank:.2f}"
            for method, rank in zip(across.methods, across.ranking.mean_ranks, strict=True)
        )
        apart = across.ranking.critical_difference
        told = "no two differ" if apart is None else f"critical difference {apart:.2f}"
        console.print(f"Mean ranks: {ranks}. Friedman p {across.ranking.p_value:.3g}; {told}.")
