"""The kinds of fields that a study has, with mistakes told in the user's words."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tune_metalr.errors import nearest


def number(value: Any) -> Any:
    """Accept `1e-3`, which YAML reads as a string; refuse `true`, which Python counts as 1."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"expected a number, not '{value}'") from None
    return value


def whole(value: Any) -> Any:
    """Accept `1e4`, which is a whole number too."""
    given = number(value)
    return int(given) if isinstance(given, float) and given.is_integer() else given


def as_list(value: Any) -> Any:
    """Take a single value for a list of one."""
    return value if isinstance(value, list | tuple) else [value]


_MAX_SEEDS = 100_000


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("expected at least one entry, not []")
        return value
    count = whole(value)
    if not isinstance(count, int) or not 1 <= count <= _MAX_SEEDS:
        raise ValueError(f"expected a count of at least 1, or a list of seeds, not {value!r}")
    return list(range(count))


def _without_twins(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is listed twice: it would be the same trial")
    return seeds


def known(kind: str, names: Iterable[str]) -> AfterValidator:
    """Return a check that a name is one of `names`."""
    names = tuple(names)

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"unknown {kind} '{name}'{nearest(name, names)}")
        return name

    return AfterValidator(check)


Number = Annotated[float, BeforeValidator(number, float | str), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, BeforeValidator(whole, int | str), Field(ge=1, le=10**9)]
Seed = Annotated[int, BeforeValidator(whole, int), Field(ge=0, lt=2**63)]
Seeds = Annotated[
    tuple[Seed, ...],
    AfterValidator(_without_twins),
    BeforeValidator(
        _listed,
        Annotated[int, Field(ge=1)]
        | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)],
    ),
]
"""A count (0, 1, 2 ...) or a list."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+ -]*$", max_length=100)]
Precision = Literal["float32", "bfloat16"]


class Strict(BaseModel):
    """Fixed choices; a key that is none of its fields is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
