"""How the results of a study are compared; a study's `analysis` section."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Self

from tune_metalr.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisChoices:
    """What was decided before the runs."""

    reference: str | None = None
    """Method with which the others are compared; the study's first one if not given."""
    margin: float | Mapping[str, float] = 0.01
    """Difference in accuracy that counts as 'as good as'; of each workload, if they differ."""
    alpha: float = 0.05
    family: str = "study"
    """Comparisons over which Holm's correction is made: of one `workload`, or of the `study`."""

    def __post_init__(self) -> None:
        if self.family not in ("workload", "study"):
            raise UserError(f"family is 'workload' or 'study', not {self.family!r}")
        margins = self.margin.values() if isinstance(self.margin, Mapping) else [self.margin]
        for name, value in [*(("margin", margin) for margin in margins), ("alpha", self.alpha)]:
            if not 0 < value < 1:
                raise UserError(f"{name} must lie between 0 and 1, not be {value:g}")

    def margin_on(self, workload: str) -> float:
        """Return the margin of a workload.

        Raises:
            UserError: Margins are of other workloads.
        """
        if not isinstance(self.margin, Mapping):
            return self.margin
        if workload not in self.margin:
            raise UserError(f"the study's margins say nothing of '{workload}'; give one --margin")
        return self.margin[workload]

    def margins_told(self, workloads: Iterable[str]) -> str:
        """Return the margins in words, those of the workloads that are shown."""
        if not isinstance(self.margin, Mapping):
            return _points(self.margin)
        told = [f"{_points(self.margin_on(name))} on {name}" for name in dict.fromkeys(workloads)]
        return ", ".join(told)

    def changed(self, **choices: Any) -> Self:
        """Return the choices with those that are given, and not `None`, in place.

        Raises:
            UserError: One of them is out of its range.
        """
        given = {name: choice for name, choice in choices.items() if choice is not None}
        return dataclasses.replace(self, **given)


def _points(margin: float) -> str:
    return f"{100 * margin:g} {'point' if margin == 0.01 else 'points'}"
