"""What `compare` prints of two ledgers."""

from rich.console import Console

from analysis import two_ledgers
from analysis.load import load_trials
from analysis.two_ledgers import CellDifference
from analysis.written import INTERVALS, p_value, points
from tune_metalr.analysis_tables.development import print_development
from tune_metalr.cli_tables import table
from tune_metalr.store import Location


def print_two_ledgers(first: Location, second: Location, console: Console) -> None:
    """Print what differs between two ledgers, paired by workload, method and seed.

    Raises:
        UserError: A folder holds no results, or they have no trial in common.
    """
    frames = [load_trials(folder, columns=two_ledgers.COLUMNS) for folder in (first, second)]
    cells = two_ledgers.compare_ledgers(*frames)
    _print_cells(cells, console)
    for name, folder in (("A", first), ("B", second)):
        console.print(f"{name}: {folder}", soft_wrap=True)
    console.print(
        f"Paired by workload, method and seed; sign-flip tests, Holm over the rows that are not "
        f"the same trials. {INTERVALS}"
    )
    if broken := sum(cell.num_irreproducible for cell in cells):
        console.print(
            f"{broken} pairs are the same trial and yet differ: versions, CPU or code changed "
            f"without a new revision."
        )
    for name, folder in (("A", first), ("B", second)):
        print_development(folder, console, prefix=f"{name}: ")


def _print_cells(cells: list[CellDifference], console: Console) -> None:
    shown = table(
        ["workload", "method"],
        ["pairs", "same trial", "A, %", "B, %", "B - A, points", "p (Holm)", "time B/A"],
    )
    for cell in cells:
        shown.add_row(
            cell.workload,
            cell.method,
            _pairs(cell),
            str(cell.num_same_trial or ""),
            *(
                "-" if s is None else f"{100 * s:.2f}"
                for s in (cell.first_score, cell.second_score)
            ),
            points(cell.difference),
            p_value(cell.holm_p),
            "-" if cell.time_ratio is None else f"{cell.time_ratio:.2f}",
        )
    console.print(shown)


def _pairs(cell: CellDifference) -> str:
    alone = {"A": cell.num_first_only, "B": cell.num_second_only}
    return " ".join([str(cell.num_pairs), *(f"(+{n} {side})" for side, n in alone.items() if n)])
