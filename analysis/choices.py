"""How the results of a study are compared; a study's `analysis` section."""

import dataclasses
from typing import Any, Self

from tune_metalr.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisChoices:
    """What was decided before the runs."""

    reference: str | None = None
    """Method with which the others are compared; the study's first one if not given."""
    margin: float = 0.01
    """Difference in accuracy that counts as 'as good as'."""
    alpha: float = 0.05
    family: str = "study"
    """Comparisons over which Holm's correction is made: of one `workload`, or of the `study`."""

    def __post_init__(self) -> None:
        if self.family not in ("workload", "study"):
            raise UserError(f"family is 'workload' or 'study', not {self.family!r}")
        for name in ("margin", "alpha"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name} must lie between 0 and 1, not be {getattr(self, name):g}")

    def changed(self, **choices: Any) -> Self:
        """Return the choices with those that are given, and not `None`, in place.

        Raises:
            UserError: One of them is out of its range.
        """
        given = {name: choice for name, choice in choices.items() if choice is not None}
        return dataclasses.replace(self, **given)
