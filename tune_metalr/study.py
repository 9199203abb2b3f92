"""A study: everything that is to be compared, as checked and typed choices."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tune_metalr.methods import CONTROLLERS, OPTIMIZERS, SCHEDULES
from tune_metalr.workloads import WORKLOADS


def nearest(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' with the most similar known word, or the list of all."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def _number(value: Any) -> Any:
    """Accept `1e-3`, which YAML reads as a string; refuse `true`, which Python counts as 1."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"expected a number, not '{value}'") from None
    return value


def _whole(value: Any) -> Any:
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _known(kind: str, names: Iterable[str]) -> AfterValidator:
    names = tuple(names)

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"unknown {kind} '{name}'{nearest(name, names)}")
        return name

    return AfterValidator(check)


Number = Annotated[float, BeforeValidator(_number, float | str), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, BeforeValidator(_whole, int | str), Field(ge=1, le=10**9)]
Seed = Annotated[int, BeforeValidator(_whole, int), Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+ -]*$", max_length=100)]
OptimizerName = Annotated[str, _known("optimizer", OPTIMIZERS)]
ScheduleName = Annotated[str, _known("schedule", SCHEDULES)]
ControllerName = Annotated[str, _known("controller", CONTROLLERS)]
Precision = Literal["float32", "bfloat16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkloadChoice(_Strict):
    """A workload, and what the study changes about it."""

    name: Annotated[str, _known("workload", WORKLOADS)]
    epochs: Count | None = None
    """Instead of the study's."""
    train_examples: Count | None = None
    """Size of the training subset, drawn by seed; the whole split if not given."""
    max_tokens: Count | None = None
    """Length to which texts are cut; for text workloads only."""
    target: Fraction | None = None
    """Validation accuracy that counts as solved, instead of the workload's."""


class MethodChoice(BaseModel):
    """An optimizer with its rate and everything else that is fixed. Further keys are keywords
    of the optimizer.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    optimizer: OptimizerName
    lr: Annotated[
        tuple[Positive, ...],
        BeforeValidator(_as_list, float | str | list[float | str]),
        Field(min_length=1),
    ]
    """The learning rate; a list makes one method of each."""
    schedule: ScheduleName = "constant"
    warmup_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Fraction of all steps in which the rate rises linearly from 0."""
    weight_decay: NotNegative | None = None
    clip_norm: Positive | None = None
    """Largest norm of the whole gradient."""
    controller: ControllerName = "fixed"

    @model_validator(mode="after")
    def _check(self) -> "MethodChoice":
        if CONTROLLERS[self.controller].sets_rate:
            for name in ("schedule", "warmup_fraction"):
                if name in self.model_fields_set:
                    raise ValueError(
                        f"controller '{self.controller}' sets the rate of every step itself: "
                        f"remove '{name}'"
                    )
        takes = OPTIMIZERS[self.optimizer].keywords
        for name, value in self.keywords().items():
            if name not in takes:
                known = {*type(self).model_fields, *takes}
                raise ValueError(
                    f"optimizer '{self.optimizer}' takes no '{name}'{nearest(name, known)}"
                )
            if not takes[name].accepts(value):
                raise ValueError(f"'{name}' takes {takes[name]}, not {value!r}")
        given = self.keywords()
        if given.get("nesterov") and (not given.get("momentum") or given.get("dampening")):
            raise ValueError("'nesterov' needs a 'momentum' above 0, and no 'dampening'")
        return self

    def keywords(self) -> dict[str, Any]:
        """Return the further keywords of the optimizer, numbers as numbers."""
        return {name: _keyword(value) for name, value in (self.model_extra or {}).items()}


class Dimension(_Strict):
    """One dimension of a search space: exactly one of its kinds."""

    log_uniform: tuple[Positive, Positive] | None = None
    uniform: tuple[Number, Number] | None = None
    int_: Annotated[tuple[int, int] | None, Field(alias="int")] = None
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    step: Positive | None = None


class SearchChoice(BaseModel):
    """A search over a space. Further keys are fixed settings of the method."""

    model_config = ConfigDict(extra="allow", frozen=True)

    optimizer: OptimizerName | None = None
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    samplers: Annotated[
        tuple[str, ...], BeforeValidator(_as_list, str | list[str]), Field(min_length=1)
    ]
    trials: Count
    repeats: Count = 1
    batch: Count = 4
    """Proposals asked at once: fixed here, so that a search is the same on any cluster."""
    pruner: str | None = None
    finals: Count = 1
    """Best configurations that are run again on the study's seeds."""
    grid: Count | dict[str, Count] | None = None
    """Points per axis, for the grid sampler."""


class AnalysisChoice(_Strict):
    """How the results are compared."""

    reference: str | None = None
    """Method with which the others are compared; the first one if not given."""
    margin: Annotated[Number, Field(gt=0, lt=1)] = 0.01
    """Difference in accuracy that counts as 'as good as'."""
    alpha: Annotated[Number, Field(gt=0, lt=1)] = 0.05
    family: Literal["workload", "study"] = "study"
    """Comparisons over which Holm's correction is made."""


_MAX_SEEDS = 100_000


def _seeds(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return value
    count = _whole(value)
    if not isinstance(count, int) or not 1 <= count <= _MAX_SEEDS:
        raise ValueError(f"expected a count of at least 1, or a list of seeds, not {value!r}")
    return list(range(count))


def _workload_entry(value: Any) -> Any:
    return [{"name": item} if isinstance(item, str) else item for item in _as_list(value)]


class Study(_Strict):
    """One YAML file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Names the results folder."""
    workloads: Annotated[
        tuple[WorkloadChoice, ...],
        BeforeValidator(_workload_entry, str | list[str | WorkloadChoice]),
        Field(min_length=1),
    ]
    """Names, or entries that change a workload's settings."""
    epochs: Count
    batch_size: Count = 64
    seeds: Annotated[
        tuple[Seed, ...], BeforeValidator(_seeds, int | list[int]), Field(min_length=1)
    ]
    """A count (0, 1, 2 ...) or a list."""
    precision: Precision = "float32"
    threads_per_trial: Count = 1
    methods: dict[Name, MethodChoice] = Field(default_factory=dict)
    searches: dict[Name, SearchChoice] = Field(default_factory=dict)
    analysis: AnalysisChoice = AnalysisChoice()

    @field_validator("seeds")
    @classmethod
    def _no_seed_twice(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is listed twice: it would be the same trial")
        return seeds

    @field_validator("workloads")
    @classmethod
    def _no_workload_twice(
        cls, workloads: tuple[WorkloadChoice, ...], info: ValidationInfo
    ) -> tuple[WorkloadChoice, ...]:
        names = [workload.name for workload in workloads]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"workload '{min(twice)}' is listed twice")
        for workload in workloads:
            if workload.max_tokens is not None and WORKLOADS[workload.name].source.family != "text":
                raise ValueError(f"'{workload.name}' is no text workload: remove 'max_tokens'")
        return workloads

    @model_validator(mode="after")
    def _something_to_run(self) -> "Study":
        if not self.methods and not self.searches:
            raise ValueError("expected at least one entry under 'methods' or 'searches'")
        names = method_names(self)
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two methods would both be called '{min(twice)}'")
        if self.analysis.reference is not None and self.analysis.reference not in names:
            raise ValueError(
                f"analysis.reference: unknown method '{self.analysis.reference}'"
                f"{nearest(self.analysis.reference, names)}"
            )
        return self


def method_name(name: str, choice: MethodChoice, lr: float) -> str:
    """Return the study's name of a method; a rate out of a list becomes part of it."""
    return name if len(choice.lr) == 1 else f"{name}-{lr:g}"


def method_names(study: Study) -> list[str]:
    """Return the names of all methods, lists of rates expanded."""
    return [
        method_name(name, choice, lr) for name, choice in study.methods.items() for lr in choice.lr
    ]


def _keyword(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, list | tuple):
        return [_keyword(item) for item in value]
    # 0 and 0.0 are the same setting, and must not be two trials.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
