"""A search, as a study writes it."""

import difflib
import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from tune_metalr.errors import install
from tune_metalr.import_path import is_import_path
from tune_metalr.methods import CONTROLLERS, OPTIMIZERS
from tune_metalr.proposals import POPULATION, SAMPLERS
from tune_metalr.proposals.imported import check_sampler
from tune_metalr.pruning import PRUNERS
from tune_metalr.space import (
    Kind,
    Point,
    Space,
    combinations,
    condition_of,
    grid_size,
    setting_of,
    settings_at,
)
from tune_metalr.study.dimension import Dimension
from tune_metalr.study.fields import Count, Seeds, as_list, known
from tune_metalr.study.method_choice import MethodChoice, OptimizerName
from tune_metalr.study.population_choice import check_generations, check_population

_MOST_GRID_POINTS = 100_000


def check_sampler_name(name: str) -> str:
    """Refuse what is neither a name of ours nor the import path of a sampler."""
    if name not in SAMPLERS and is_import_path(name):
        check_sampler(name)
    elif name not in SAMPLERS:
        raise ValueError(
            f"unknown sampler '{name}'; known: {', '.join(SAMPLERS)}, and the import path of any "
            f"Optuna sampler or Ray Tune searcher"
        )
    if name == "cmaes":
        _need_cmaes()
    return name


def _need_cmaes() -> None:
    from importlib.util import find_spec

    if find_spec("cmaes") is None:
        raise ValueError(f"sampler 'cmaes' needs a package: {install('samplers')}")


def _kind_of_grid(value: Any) -> str:
    return "axes" if isinstance(value, dict) else "all"


Grid = Annotated[
    Annotated[Count, Tag("all")] | Annotated[dict[str, Count], Tag("axes")],
    Discriminator(_kind_of_grid),
]


class SearchChoice(BaseModel):
    """A search over a space. Further keys are fixed settings of the method.

    An axis called `sgd.momentum` holds only where some other axis has chosen `sgd`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    optimizer: OptimizerName | None = None
    """Fixed, unless the space has an axis of this name."""
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    samplers: Annotated[
        tuple[Annotated[str, AfterValidator(check_sampler_name)], ...],
        BeforeValidator(as_list, str | list[str]),
        Field(min_length=1),
    ]
    """Names, or import paths of Optuna samplers and of Ray Tune searchers: one search of each."""
    trials: Count | None = None
    """Of each search. May be left out for a grid, which then is run whole."""
    repeats: Count = 1
    batch: Count = 4
    """Proposals asked at once: fixed here, so that a search is the same on any cluster."""
    pruner: Annotated[str, known("pruner", PRUNERS)] | None = None
    finals: Count = 1
    """Best configurations that are run again on the search's seeds."""
    seeds: Seeds | None = None
    """Of the winners' runs, instead of the study's, but not of a workload's."""
    grid: Grid | None = None
    """Points per axis, for the grid sampler; choices are all taken."""

    @model_validator(mode="after")
    def _check(self) -> "SearchChoice":
        names = [name.rpartition(".")[2] for name in self.samplers]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"sampler '{min(twice)}' is listed twice")
        for name in filter(self._is_no_keyword, self.model_extra or {}):
            if close := difflib.get_close_matches(name, type(self).model_fields, n=1, cutoff=0.8):
                raise ValueError(f"unknown field '{name}'; did you mean '{close[0]}'?")
        if both := sorted(self.space.keys() & self._fixed().keys()):
            raise ValueError(f"'{both[0]}' is both fixed and an axis of the space")
        self._check_grid()
        self._check_numbers()
        if POPULATION in self.samplers:
            check_generations(self.trials or 0, self.batch, self.finals)
            check_population(self.axes(), self._fixed(), pruner=self.pruner)
        self._check_settings()
        return self

    def axes(self) -> Space:
        """Return the space; axes by their names, so that their order in the study is no matter."""
        return {name: dimension.axis() for name, dimension in sorted(self.space.items())}

    def grid_points(self) -> Mapping[str, int]:
        """Return the grid's points on each axis."""
        if isinstance(self.grid, dict):
            return self.grid
        return dict.fromkeys(self.space, self.grid or 1)

    def num_trials(self, sampler: str) -> int:
        """Return the trials of one search; a grid has no more than its points."""
        if sampler != "grid":
            return self.trials or 0
        size = grid_size(self.axes(), self.grid_points())
        return min(self.trials or size, size)

    def method(self, point: Point) -> MethodChoice:
        """Return the method at a point of the space.

        Raises:
            ValueError: A value or a name does not fit the method.
        """
        try:
            return MethodChoice.model_validate({**self._fixed(), **settings_at(point)})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
            message = first["msg"].removeprefix("Value error, ")
            if first["type"] != "value_error":
                message = f"{message.replace('Input should be', 'expected')}, got {first['input']}"
            raise ValueError(f"{place}: {message}" if place else message) from None

    def _fixed(self) -> dict[str, Any]:
        given = {} if self.optimizer is None else {"optimizer": self.optimizer}
        return given | (self.model_extra or {})

    def _is_no_keyword(self, name: str) -> bool:
        """Return whether the optimizer, if it is an imported one, has no such keyword."""
        if self.optimizer is None or self.optimizer in OPTIMIZERS:
            return True
        from tune_metalr.methods.imported import takes_keyword

        return not takes_keyword(self.optimizer, name)

    def _check_grid(self) -> None:
        if ("grid" in self.samplers) != (self.grid is not None):
            raise ValueError(
                "sampler 'grid' needs the points of each axis, such as 'grid: 5'"
                if self.grid is None
                else "'grid' is for sampler 'grid', which is not listed"
            )
        if self.grid is None:
            return
        axes, points = self.axes(), self.grid_points()
        if unknown := sorted(points.keys() - axes.keys()):
            raise ValueError(f"grid: the space has no axis '{unknown[0]}'")
        for name, axis in axes.items():
            if axis.kind is not Kind.CHOICE and name not in points:
                raise ValueError(f"grid: how many points has axis '{name}'?")
        most = max(points.values(), default=1)
        if most > _MOST_GRID_POINTS or combinations(axes, points) > _MOST_GRID_POINTS:
            raise ValueError(f"grid: more than {_MOST_GRID_POINTS} points")

    def _check_numbers(self) -> None:
        if self.trials is None and set(self.samplers) != {"grid"}:
            raise ValueError("trials: how many of each search?")
        if self.trials is not None and self.batch > self.trials:
            raise ValueError(f"batch: {self.batch} is larger than the {self.trials} trials")
        if self.trials is not None and self.finals > self.trials:
            raise ValueError(f"finals: {self.finals} are more than the {self.trials} trials")

    def _check_settings(self) -> None:
        """Build the method at corners of the space: each must be one that can be run."""
        settings = [setting_of(name) for name in self.space]
        if "seeds" in settings:
            raise ValueError("'seeds' cannot be an axis of the space: it is how often winners run")
        for name in ("optimizer", "lr") if self._needs_lr() else ("optimizer",):
            if name not in {*self._fixed(), *settings}:
                raise ValueError(f"'{name}' is missing: fix it, or make it an axis of the space")
        if isinstance(self._fixed().get("lr"), list | tuple):
            raise ValueError("a search takes one 'lr': make several an axis, as a choice")
        for name in self.space:
            if "." in name and setting_of(name) in self.space:
                raise ValueError(f"space: '{name}' and '{setting_of(name)}' are the same setting")
        chosen = {value for axis in self.axes().values() for value in axis.choices}
        for name in self.space:
            condition = condition_of(name)
            if "." in name and condition not in chosen:
                raise ValueError(f"space: '{name}' holds for '{condition}', no choice of it")
        for point in _corners(self.axes()):
            try:
                self.method(point)
            except ValueError as error:
                raise ValueError(f"space: {error}") from None

    def _needs_lr(self) -> bool:
        """Return whether some method of the search takes its rate from the study."""
        axes = [axis for name, axis in self.axes().items() if setting_of(name) == "controller"]
        controllers: list[object] = [choice for axis in axes for choice in axis.choices]
        if "controller" not in self.space:  # an axis that holds for some leaves the others this one
            controllers.append(self._fixed().get("controller", "fixed"))
        return any(name in controllers and not c.sets_rate for name, c in CONTROLLERS.items())


def _corners(space: Space) -> Iterator[Point]:
    """Return the points where all numbers are lowest or highest, for each set of choices."""
    choices = [axis.choices or (None,) for axis in space.values()]
    for combination in itertools.islice(itertools.product(*choices), 1000):
        for share in (0.0, 1.0):
            yield {
                name: choice if axis.kind is Kind.CHOICE else axis.at(share)
                for (name, axis), choice in zip(space.items(), combination, strict=True)
            }
