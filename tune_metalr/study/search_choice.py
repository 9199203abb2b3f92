"""A search, as a study writes it."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tune_metalr.study.fields import Count, Number, Positive, Strict, as_list
from tune_metalr.study.method_choice import OptimizerName


class Dimension(Strict):
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
        tuple[str, ...], BeforeValidator(as_list, str | list[str]), Field(min_length=1)
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
