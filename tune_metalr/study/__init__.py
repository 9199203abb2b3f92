"""A study: everything that is to be compared, as checked and typed choices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tune_metalr.errors import nearest
from tune_metalr.evidence import SearchIdentity
from tune_metalr.proposals import POPULATION
from tune_metalr.study.dimension import Dimension
from tune_metalr.study.fields import (
    Count,
    Name,
    Number,
    Precision,
    Seeds,
    Strict,
    as_list,
    number,
)
from tune_metalr.study.method_choice import Method, MethodChoice
from tune_metalr.study.population_choice import check_shared_epochs
from tune_metalr.study.resources import ResourcesChoice
from tune_metalr.study.search_choice import SearchChoice
from tune_metalr.study.workload_choice import WorkloadChoice
from tune_metalr.trial import Purpose

__all__ = [
    "AnalysisChoice",
    "Dimension",
    "MethodChoice",
    "SearchChoice",
    "Study",
    "WorkloadChoice",
    "method_name",
    "method_names",
]


_Margin = Annotated[Number, Field(gt=0, lt=1)]


def _margins(value: Any) -> Any:
    """Take one margin, or one for each workload, and tell a mistake in one line.

    Of a value that may be of two kinds, pydantic would tell the mistakes of both.
    """
    if isinstance(value, Mapping):
        return {name: _margin(margin) for name, margin in value.items()}
    return _margin(value)


def _margin(value: Any) -> float:
    given = number(value)
    if not isinstance(given, int | float) or not 0 < given < 1:
        raise ValueError(
            f"expected a number between 0 and 1, or one for each workload, not {value!r}"
        )
    return float(given)


class AnalysisChoice(Strict):
    """How the results are compared."""

    reference: str | None = None
    """Method with which the others are compared; the first one if not given."""
    margin: Annotated[
        float | dict[str, float], BeforeValidator(_margins, _Margin | dict[str, _Margin])
    ] = 0.01
    """Difference in accuracy that counts as 'as good as'; or one for each workload."""
    alpha: Annotated[Number, Field(gt=0, lt=1)] = 0.05
    family: Literal["workload", "study"] = "study"
    """Comparisons over which Holm's correction is made."""


def _workload_entry(value: Any) -> Any:
    return [{"name": item} if isinstance(item, str) else item for item in as_list(value)]


class Study(Strict):
    """One YAML file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Names the results folder."""
    purpose: Purpose = Purpose.EVALUATION
    """`development` while a method is being designed on these workloads: its runs are marked."""
    workloads: Annotated[
        tuple[WorkloadChoice, ...],
        BeforeValidator(_workload_entry, str | list[str | WorkloadChoice]),
        Field(min_length=1),
    ]
    """Names, or entries that change a workload's settings."""
    epochs: Count
    batch_size: Count = 64
    seeds: Seeds
    """A count (0, 1, 2 ...) or a list; methods, searches and workloads may have their own."""
    precision: Precision = "float32"
    threads_per_trial: Count = 1
    resources: ResourcesChoice = ResourcesChoice()
    methods: dict[Name, Method] = Field(default_factory=dict)
    searches: dict[Name, SearchChoice] = Field(default_factory=dict)
    analysis: AnalysisChoice = AnalysisChoice()

    @field_validator("workloads")
    @classmethod
    def _no_workload_twice(
        cls, workloads: tuple[WorkloadChoice, ...]
    ) -> tuple[WorkloadChoice, ...]:
        names = [workload.name for workload in workloads]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"workload '{min(twice)}' is listed twice")
        return workloads

    def seeds_of(
        self, workload: WorkloadChoice, choice: MethodChoice | SearchChoice
    ) -> tuple[int, ...]:
        """Return the seeds of a method, or of a search's winners, on a workload."""
        return workload.seeds or choice.seeds or self.seeds

    @property
    def need(self) -> dict[str, float]:
        """What a trial takes of a node, by Ray's name of the resource."""
        return self.resources.need(self.threads_per_trial)

    @property
    def folders(self) -> dict[str, Path]:
        """The folders that hold workloads' data, by name of the workload."""
        return {choice.name: choice.folder for choice in self.workloads if choice.folder}

    @model_validator(mode="after")
    def _something_to_run(self) -> "Study":
        if not self.methods and not self.searches:
            raise ValueError("expected at least one entry under 'methods' or 'searches'")
        self._check_pruners()
        self._check_populations()
        names = method_names(self)
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two methods would both be called '{min(twice)}'")
        for name, choice in self.searches.items():
            for sampler in choice.samplers:
                label = SearchIdentity(name, "", sampler, choice.pruner).label
                if label in names:
                    raise ValueError(f"a method and a search would both be called '{label}'")
        if self.analysis.reference is not None and self.analysis.reference not in names:
            raise ValueError(
                f"analysis.reference: unknown method '{self.analysis.reference}'"
                f"{nearest(self.analysis.reference, names)}"
            )
        self._check_margins()
        return self

    def _check_margins(self) -> None:
        if not isinstance(self.analysis.margin, dict):
            return
        names = [workload.name for workload in self.workloads]
        for name in self.analysis.margin:
            if name not in names:
                raise ValueError(
                    f"analysis.margin: unknown workload '{name}'{nearest(name, names)}"
                )
        if left := [name for name in names if name not in self.analysis.margin]:
            raise ValueError(f"analysis.margin: nothing for '{left[0]}'")

    def _check_pruners(self) -> None:
        shortest = min(workload.epochs or self.epochs for workload in self.workloads)
        for name, choice in self.searches.items():
            if choice.pruner is not None and shortest < 2:
                raise ValueError(f"searches.{name}.pruner: a trial of 1 epoch cannot be pruned")

    def _check_populations(self) -> None:
        epochs = [(workload.name, workload.epochs or self.epochs) for workload in self.workloads]
        for name, choice in self.searches.items():
            if POPULATION in choice.samplers:
                generations = (choice.trials or 0) // choice.batch
                try:
                    check_shared_epochs(epochs, generations=generations)
                except ValueError as error:
                    raise ValueError(f"searches.{name}.trials: {error}") from None


def method_name(name: str, choice: MethodChoice, lr: float) -> str:
    """Return the study's name of a method; a rate out of a list becomes part of it."""
    return name if len(choice.lr) == 1 else f"{name}-{lr:g}"


def method_names(study: Study) -> list[str]:
    """Return the names of all methods, lists of rates expanded."""
    return [
        method_name(name, choice, lr) for name, choice in study.methods.items() for lr in choice.lr
    ]
