"""How tables, sentences and pages write numbers."""

import math

from analysis.intervals import Interval
from analysis.matching import NEVER, BudgetToMatch

INTERVALS = "In brackets: 95 % intervals."

_BREAK = {False: " ", True: "\n"}
"""Between an estimate and its ends, in tables that have room and in those that have not."""


def budget(match: BudgetToMatch | None, *, broken: bool = False) -> str:
    """Return a budget to match with its ends, as '48 [31, never]', if it has any."""
    if match is None:
        return "-"
    found = (
        f"never within {compact(match.within)}" if match.budget == NEVER else compact(match.budget)
    )
    return f"{found}{ends(match, before=_BREAK[broken])}"


def ends(match: BudgetToMatch, *, before: str = " ") -> str:
    """Return the ends of a budget to match in brackets, with what stands before; or nothing."""
    if math.isnan(match.low):
        return ""
    return f"{before}[{compact(match.low)}, {compact(match.high)}]"


def compact(value: float) -> str:
    """Return a count in at most five characters or so."""
    if value == NEVER:
        return "never"
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        # What would be rounded up to the next letter belongs to it.
        if value >= 0.9995 * size:
            scaled = value / (1e3 if letter == "k" else size)
            return f"{scaled:.4g}{letter}" if scaled >= 999.5 else f"{scaled:.3g}{letter}"
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def percent(interval: Interval | None, *, digits: int = 2, broken: bool = False) -> str:
    """Return a share in percent with its ends."""
    return "-" if interval is None else _bracketed(interval, digits=digits, broken=broken)


def points(interval: Interval | None, *, broken: bool = False) -> str:
    """Return a difference in percentage points with its ends, signed."""
    return "-" if interval is None else _bracketed(interval, sign="+", broken=broken)


def _bracketed(interval: Interval, *, digits: int = 2, sign: str = "", broken: bool = False) -> str:
    value = f"{_plain(interval.estimate, digits):{sign}.{digits}f}"
    if math.isnan(interval.low):
        return value
    if math.isinf(interval.low):
        return f"{value}{_BREAK[broken]}[one run]"
    low, high = (f"{_plain(end, digits):.{digits}f}" for end in interval[1:])
    return f"{value}{_BREAK[broken]}[{low}, {high}]"


def number(value: float | None) -> str:
    """Return a count, or '-' for none."""
    return "-" if value is None else compact(value)


def time(value: float) -> str:
    """Return a time to target; a miss is 'never'."""
    return f"{value:.3g}" if value < 999 else compact(value)


def p_value(value: float) -> str:
    """Return a p-value, or '-' where nothing was tested."""
    return "-" if math.isnan(value) else f"{value:.2g}"


def _plain(share: float, digits: int) -> float:
    """Return percent, rounded; what is rounded to 0 has no sign."""
    return round(100 * share, digits) + 0.0
