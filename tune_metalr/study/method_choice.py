"""A method, as a study writes it."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from tune_metalr.errors import nearest
from tune_metalr.import_path import is_import_path, resolve
from tune_metalr.methods import CONTROLLERS, DEFAULT_LR, OPTIMIZERS, SCHEDULES, SETTINGS
from tune_metalr.methods.presets import PRESETS
from tune_metalr.study.fields import (
    Flag,
    NotNegative,
    Number,
    Positive,
    Seeds,
    Strict,
    as_list,
    known,
)


def check_optimizer_name(name: str) -> str:
    """Refuse what is neither a name of ours nor the import path of an optimizer."""
    if name not in OPTIMIZERS and is_import_path(name):
        from tune_metalr.methods.imported import check_optimizer

        check_optimizer(name)
    elif name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer '{name}'{nearest(name, OPTIMIZERS)}")
    return name


OptimizerName = Annotated[str, AfterValidator(check_optimizer_name)]
"""A name of ours, or the import path of any `torch.optim.Optimizer`."""
ScheduleName = Annotated[str, known("schedule", SCHEDULES)]
ControllerName = Annotated[str, known("controller", CONTROLLERS)]


class MethodChoice(BaseModel):
    """An optimizer with its rate and everything else that is fixed. Further keys are settings
    of the schedule and keywords of the optimizer.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    optimizer: OptimizerName
    lr: Annotated[
        tuple[Positive, ...],
        BeforeValidator(as_list, float | str | list[float | str]),
        Field(min_length=1),
    ] = (DEFAULT_LR,)
    """The learning rate; a list makes one method of each. A controller that sets the rate itself
    begins there, and needs none."""
    schedule: ScheduleName = "constant"
    warmup_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Fraction of all steps in which the rate rises linearly from 0."""
    weight_decay: NotNegative | None = None
    clip_norm: Positive | None = None
    """Largest norm of the whole gradient."""
    averaging: Flag = False
    """Whether a running average of the weights is evaluated, in place of the last ones."""
    controller: ControllerName = "fixed"
    seeds: Seeds | None = None
    """Instead of the study's, but not of a workload's: a comparison that counts may have more."""

    @model_validator(mode="after")
    def _check(self) -> "MethodChoice":
        if "lr" not in self.model_fields_set and not CONTROLLERS[self.controller].sets_rate:
            raise ValueError("'lr' is missing: the rate, or a list of rates")
        if CONTROLLERS[self.controller].sets_rate:
            for name in ("schedule", "warmup_fraction", *SETTINGS):
                if name in self.model_fields_set | (self.model_extra or {}).keys():
                    raise ValueError(
                        f"controller '{self.controller}' sets the rate of every step itself: "
                        f"remove '{name}'"
                    )
        self._check_averaging()
        self._check_schedule_settings()
        if self.optimizer in OPTIMIZERS:
            self._check_keywords()
        else:
            self._check_imported()
        return self

    def keywords(self) -> dict[str, Any]:
        """Return the further keywords of the optimizer, numbers as numbers."""
        given = {n: v for n, v in (self.model_extra or {}).items() if n not in SETTINGS}
        if self.optimizer in OPTIMIZERS:
            return {name: _number_or_same(value) for name, value in given.items()}
        from tune_metalr.methods.imported import canonical_keywords

        return canonical_keywords(self.optimizer, given)

    def schedule_settings(self) -> dict[str, Any]:
        """Return every setting of the schedule: as given, or its default."""
        given = self.model_extra or {}
        settings = SCHEDULES[self.schedule].settings
        return {name: _number_or_same(given.get(name, s.default)) for name, s in settings.items()}

    def _optimizer_arguments(self) -> dict[str, Any]:
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return decay | self.keywords()

    def _check_imported(self) -> None:
        from tune_metalr.methods.imported import (
            check_keywords,
            keeps_evaluation_weights,
            takes_keyword,
            takes_loss,
        )

        if self.seeds is not None and takes_keyword(self.optimizer, "seeds"):
            raise ValueError(
                f"'seeds' says how often a method is run, and is not passed on: give the keyword "
                f"of '{self.optimizer}' another name, in a class of your own"
            )
        check_keywords(self.optimizer, self.lr[0], self._optimizer_arguments())
        kind = CONTROLLERS[self.controller]
        if kind.sets_rate and keeps_evaluation_weights(resolve(self.optimizer)):
            raise ValueError(
                f"optimizer '{self.optimizer}' averages weights by its own rates: remove "
                f"'controller'"
            )
        if takes_loss(resolve(self.optimizer)) and not kind.gives_loss:
            raise ValueError(
                f"optimizer '{self.optimizer}' needs the loss in each step; controller "
                f"'{self.controller}' gives none"
            )

    def _check_averaging(self) -> None:
        if not self.averaging:
            return
        if CONTROLLERS[self.controller].averages:
            raise ValueError(
                f"controller '{self.controller}' averages weights itself: remove 'averaging'"
            )
        if self.optimizer not in OPTIMIZERS:
            from tune_metalr.methods.imported import keeps_evaluation_weights

            if keeps_evaluation_weights(resolve(self.optimizer)):
                raise ValueError(
                    f"optimizer '{self.optimizer}' averages weights itself: remove 'averaging'"
                )

    def _check_schedule_settings(self) -> None:
        for name in (self.model_extra or {}).keys() & SETTINGS.keys():
            if name not in SCHEDULES[self.schedule].settings:
                owner = next(key for key, known in SCHEDULES.items() if name in known.settings)
                raise ValueError(f"'{name}' belongs to schedule '{owner}'")
        for name, value in self.schedule_settings().items():
            if not SETTINGS[name].kind.accepts(value):
                raise ValueError(f"'{name}' takes {SETTINGS[name].kind}, not {value!r}")

    def _check_keywords(self) -> None:
        takes = OPTIMIZERS[self.optimizer].keywords
        given = self.keywords()
        for name, value in given.items():
            if name not in takes:
                known = {*type(self).model_fields, *takes, *SETTINGS}
                raise ValueError(
                    f"optimizer '{self.optimizer}' takes no '{name}'{nearest(name, known)}"
                )
            if not takes[name].accepts(value):
                raise ValueError(f"'{name}' takes {takes[name]}, not {value!r}")
        if given.get("nesterov") and (not given.get("momentum") or given.get("dampening")):
            raise ValueError("'nesterov' needs a 'momentum' above 0, and no 'dampening'")


class PresetChoice(Strict):
    """A method that has a name of its own; all its settings are frozen."""

    preset: Annotated[str, known("preset", PRESETS)]
    seeds: Seeds | None = None
    """Instead of the study's."""


def _method(value: Any) -> Any:
    """Write a preset out."""
    if not isinstance(value, dict) or "preset" not in value:
        return value
    name = value["preset"]
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'{nearest(str(name), PRESETS)}")
    if others := sorted(value.keys() - {"preset", "seeds"}, key=str):
        raise ValueError(f"preset '{name}' fixes every setting: remove '{others[0]}'")
    seeds = {"seeds": value["seeds"]} if "seeds" in value else {}
    return dict(PRESETS[name].settings) | seeds


Method = Annotated[MethodChoice, BeforeValidator(_method, MethodChoice | PresetChoice)]


def _number_or_same(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, list | tuple):
        return [_number_or_same(item) for item in value]
    # 0 and 0.0 are the same setting, and must not be two trials.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
