"""Searches in study files: what they mean; mistakes are in `test_search_mistakes.py`."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.conftest import without_data
from tune_metalr.expansion import expand_searches
from tune_metalr.methods import DEFAULT_LR
from tune_metalr.search import Search
from tune_metalr.space import Axis, Kind
from tune_metalr.study import Study
from tune_metalr.study_file import load_study

HEAD = "name: s\nworkloads: [digits-cnn]\nepochs: 4\nseeds: 2\nsearches:\n  wide:\n"
RATE = "lr: {log_uniform: [1e-4, 1]}"
FIELDS = {
    "optimizer": "sgd",
    "space": f"{{{RATE}}}",
    "samplers": "random",
    "trials": "8",
}


def text_of(**changes: str | None) -> str:
    """Return a study of one search, with other fields; without those that are None."""
    fields = {name: value for name, value in (FIELDS | changes).items() if value is not None}
    return HEAD + "".join(f"    {name}: {value}\n" for name, value in fields.items())


def with_axis(name: str, axis: str) -> str:
    return f"{{{RATE}, {name}: {axis}}}"


@pytest.fixture
def searches(write_study: Callable[[str], Path]) -> Callable[..., list[Search]]:
    """Return the searches of a study."""

    def expand(**changes: str | None) -> list[Search]:
        study = load_study(write_study(text_of(**changes))).study
        return expand_searches(study, without_data(study))

    return expand


BOTH = "{optimizer: {choice: [sgd, adam]}, " + RATE


def test_the_study_without_a_mistake_is_read(searches) -> None:
    (search,) = searches()
    assert search.space == {"lr": Axis(kind=Kind.LOG_UNIFORM, low=1e-4, high=1.0)}
    assert (search.trials, search.batch, search.finals, search.pruner) == (8, 4, 1, None)
    assert search.seeds == (0, 1)
    assert search.chance == 0.1


def test_ends_of_whole_numbers_may_be_written_as_powers(searches) -> None:
    (search,) = searches(space=with_axis("momentum", "{int: [0, 1e1], step: 5}"))
    assert search.space["momentum"].grid(9) == [0, 5, 10]


def test_every_workload_sampler_and_repeat_is_a_search_of_its_own(write_study) -> None:
    text = text_of(samplers="[random, tpe]", repeats="3", pruner="median")
    study = load_study(write_study(text.replace("[digits-cnn]", "[digits-cnn, mnist-cnn]"))).study
    found = expand_searches(study, without_data(study))
    assert len(found) == 2 * 2 * 3
    assert len({search.search_id for search in found}) == 12
    assert [search.repeat for search in found] == [0] * 4 + [1] * 4 + [2] * 4
    assert {search.label for search in found} == {"wide random median", "wide tpe median"}


def test_names_of_searches_are_names_of_files(searches) -> None:
    (search,) = searches(samplers="optuna.samplers.TPESampler")
    assert search.search_id.startswith("wide-digits_cnn-TPESampler-0-")
    assert "/" not in search.search_id


def test_a_grid_may_be_run_whole_or_in_part(searches) -> None:
    grid = {"samplers": "[grid, random]", "grid": "5"}
    assert [search.trials for search in searches(**grid)] == [5, 8]
    (whole,) = searches(samplers="grid", grid="12", trials=None)
    assert whole.trials == 12
    (part,) = searches(samplers="grid", grid="12")
    assert part.trials == 8
    (small,) = searches(samplers="grid", grid="2", trials=None, finals="5")
    assert (small.trials, small.finals) == (2, 2)


def test_choices_need_no_points_of_a_grid(searches) -> None:
    space = with_axis("schedule", "{choice: [constant, cosine, linear]}")
    (search,) = searches(samplers="grid", grid="{lr: 3}", space=space, trials=None)
    assert search.trials == 9


def test_a_point_is_a_trial_with_the_fixed_settings(searches) -> None:
    space = with_axis("schedule", "{choice: [constant, cosine]}")
    (search,) = searches(space=space, momentum="0.9", weight_decay="1e-4")
    trial = search.make_trial({"lr": 0.02, "schedule": "cosine"})
    assert (trial.optimizer, trial.schedule, trial.epochs) == ("sgd", "cosine", 4)
    assert trial.hyperparameters == {
        "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-4, "warmup_fraction": 0.0,
    }  # fmt: skip


def test_a_conditional_axis_holds_where_its_choice_was_made(searches) -> None:
    (search,) = searches(space=BOTH + ", sgd.momentum: {uniform: [0, 0.9]}}", optimizer=None)
    point = {"lr": 0.1, "sgd.momentum": 0.5}
    sgd = search.make_trial(point | {"optimizer": "sgd"})
    adam = search.make_trial(point | {"optimizer": "adam"})
    assert sgd.hyperparameters["momentum"] == 0.5
    assert "momentum" not in adam.hyperparameters
    # What does not hold changes no trial.
    moved = search.make_trial(point | {"optimizer": "adam", "sgd.momentum": 0.8})
    assert moved.trial_id == adam.trial_id


def test_a_search_under_a_controller_that_sets_the_rate_needs_none(searches) -> None:
    decay = "{weight_decay: {log_uniform: [1e-4, 1]}}"
    (search,) = searches(space=decay, controller="metalr")
    trial = search.make_trial({"weight_decay": 0.01})
    assert (trial.controller, trial.hyperparameters["lr"]) == ("metalr", DEFAULT_LR)
    (begun,) = searches(space=decay, controller="metalr", lr="0.1")
    assert begun.make_trial({"weight_decay": 0.01}).hyperparameters["lr"] == 0.1
    (searched,) = searches(controller="hypergradient")
    assert searched.make_trial({"lr": 0.02}).hyperparameters["lr"] == 0.02


def test_a_controller_may_be_an_axis(searches) -> None:
    (both,) = searches(space="{controller: {choice: [hypergradient, metalr]}}", momentum="0.9")
    made = {name: both.make_trial({"controller": name}) for name in ("hypergradient", "metalr")}
    assert [trial.controller for trial in made.values()] == list(made)
    assert both.representatives() == [{"controller": name} for name in made]
    space = (
        "{controller: {choice: [fixed, metalr]}, fixed.lr: {log_uniform: [1e-3, 1]}, "
        "fixed.schedule: {choice: [constant, cosine]}}"
    )
    (search,) = searches(space=space)
    point = {"fixed.lr": 0.5, "fixed.schedule": "cosine"}
    fixed = search.make_trial(point | {"controller": "fixed"})
    metalr = search.make_trial(point | {"controller": "metalr"})
    assert (fixed.schedule, fixed.hyperparameters["lr"]) == ("cosine", 0.5)
    assert (metalr.schedule, metalr.hyperparameters["lr"]) == ("constant", DEFAULT_LR)
    assert search.definition()["method_revision"] == sorted(
        {fixed.method_revision, metalr.method_revision}
    )


def test_what_readers_are_told_of_a_search_is_json(searches) -> None:
    (search,) = searches(pruner="hyperband")
    told = json.loads(json.dumps(search.to_json()))
    assert told["search_id"] == search.search_id
    assert told["space"] == {"lr": {"log_uniform": [1e-4, 1.0]}}
    assert (told["sampler"], told["pruner"], told["trials"]) == ("random", "hyperband", 8)


@pytest.mark.parametrize("grid", ["5", "{lr: 5}"])
def test_editors_accept_searches(grid) -> None:
    text = text_of(
        samplers="[grid, tpe]",
        grid=grid,
        space=with_axis("momentum", "{int: [0, 3], step: 1}"),
        pruner="median",
    )
    jsonschema.validate(yaml.safe_load(text), Study.model_json_schema())
