"""Searches in study files: one clear line for each mistake."""

import pytest

from tests.test_search_choice import BOTH, RATE, text_of, with_axis
from tune_metalr.errors import UserError
from tune_metalr.proposals import SAMPLERS
from tune_metalr.study_file import load_study

MISTAKES: dict[str, tuple[dict[str, str | None], str]] = {
    "an empty space": ({"space": "{}"}, ":8: searches.wide.space: expected at least one entry"),
    "no space": ({"space": None}, ":6: searches.wide.space: required, but not given"),
    "ends that are one": (
        {"space": "{lr: {log_uniform: [1, 1]}}"},
        ":8: searches.wide.space.lr: the lower end 1 must be below the upper end 1",
    ),
    "ends turned round": (
        {"space": "{lr: {uniform: [1, 0.1]}}"},
        ":8: searches.wide.space.lr: the lower end 1 must be below the upper end 0.1",
    ),
    "a logarithm of 0": (
        {"space": "{lr: {log_uniform: [0, 1]}}"},
        ":8: searches.wide.space.lr: a logarithmic range must begin above 0, not at 0",
    ),
    "one end": (
        {"space": "{lr: {uniform: [1]}}"},
        ":8: searches.wide.space.lr.uniform: expected the two ends of a range, such as [1, 10], not [1]",
    ),
    "three ends": (
        {"space": "{lr: {log_uniform: [1, 2, 3]}}"},
        ":8: searches.wide.space.lr.log_uniform: expected the two ends of a range",
    ),
    "an end that is no number": (
        {"space": "{lr: {uniform: [low, 1]}}"},
        ":8: searches.wide.space.lr.uniform.0: expected a number, not 'low'",
    ),
    "no end": (
        {"space": "{lr: {uniform: [1, .inf]}}"},
        ":8: searches.wide.space.lr.uniform.1: expected a finite number, got inf",
    ),
    "no kind": (
        {"space": "{lr: {step: 1}}"},
        ":8: searches.wide.space.lr: expected exactly one of log_uniform, uniform, int, choice, not 0",
    ),
    "two kinds": (
        {"space": "{lr: {uniform: [1, 2], int: [1, 2]}}"},
        ":8: searches.wide.space.lr: expected exactly one of log_uniform, uniform, int, choice, not 2",
    ),
    "an unknown kind": (
        {"space": "{lr: {loguniform: [1, 2]}}"},
        ":8: searches.wide.space.lr.loguniform: unknown key; did you mean 'log_uniform'?",
    ),
    "an axis that is a value": (
        {"space": "{lr: 0.1}"},
        ":8: searches.wide.space.lr: expected fields, such as 'name: value', not 0.1",
    ),
    "an unknown sampler": (
        {"samplers": "tpee"},
        f":9: searches.wide.samplers: unknown sampler 'tpee'; known: {', '.join(SAMPLERS)}, and the import path",
    ),
    "a list with an unknown sampler": (
        {"samplers": "[tpe, bayes]"},
        ":9: searches.wide.samplers.1: unknown sampler 'bayes'; known: grid, random",
    ),
    "a sampler that others are derived from": (
        {"samplers": "optuna.samplers.BaseSampler"},
        ":9: searches.wide.samplers: optuna.samplers.BaseSampler is what samplers are derived from",
    ),
    "a searcher that others are derived from": (
        {"samplers": "ray.tune.search.Searcher"},
        ":9: searches.wide.samplers: ray.tune.search.Searcher is what samplers are derived from",
    ),
    "a misspelt field": (
        {"trails": "5"},
        ":6: searches.wide: unknown field 'trails'; did you mean 'trials'?",
    ),
    "no sampler": ({"samplers": "[]"}, ":9: searches.wide.samplers: expected at least one entry"),
    "a sampler twice": (
        {"samplers": "[tpe, random, tpe]"},
        ":6: searches.wide: sampler 'tpe' is listed twice",
    ),
    "a module that does not exist": (
        {"samplers": "nowhere.Sampler"},
        ":9: searches.wide.samplers: cannot import 'nowhere.Sampler': no module 'nowhere' is installed",
    ),
    "a name that does not exist": (
        {"samplers": "optuna.samplers.TPESamplr"},
        "no 'TPESamplr' in 'optuna.samplers'; did you mean 'optuna.samplers.TPESampler'?",
    ),
    "a class that is no sampler": (
        {"samplers": "optuna.pruners.MedianPruner"},
        ":9: searches.wide.samplers: optuna.pruners.MedianPruner is neither an Optuna sampler nor",
    ),
    "a function": ({"samplers": "math.sqrt"}, "math.sqrt is neither an Optuna sampler nor"),
    "a grid without points": (
        {"samplers": "grid"},
        ":6: searches.wide: sampler 'grid' needs the points of each axis, such as 'grid: 5'",
    ),
    "points without a grid": (
        {"grid": "5"},
        ":6: searches.wide: 'grid' is for sampler 'grid', which is not listed",
    ),
    "a grid that lacks an axis": (
        {"samplers": "grid", "grid": "{lr: 3}", "space": with_axis("momentum", "{uniform: [0, 0.9]}")},
        ":6: searches.wide: grid: how many points has axis 'momentum'?",
    ),
    "a grid of an axis that is none": (
        {"samplers": "grid", "grid": "{lr: 3, mom: 2}"},
        ":6: searches.wide: grid: the space has no axis 'mom'",
    ),
    "a grid of no points": (
        {"samplers": "grid", "grid": "0"},
        ":11: searches.wide.grid: expected greater than or equal to 1, got 0",
    ),
    "half a point": (
        {"samplers": "grid", "grid": "{lr: 2.5}"},
        ":11: searches.wide.grid: expected a whole number, not 2.5",
    ),
    "a grid that is a word": (
        {"samplers": "grid", "grid": "fine"},
        ":11: searches.wide.grid: expected a number, not 'fine'",
    ),
    "a huge grid": (
        {"samplers": "grid", "grid": "1e9"},
        ":6: searches.wide: grid: more than 100000 points",
    ),
    "a batch larger than the trials": (
        {"batch": "9"},
        ":6: searches.wide: batch: 9 is larger than the 8 trials",
    ),
    "more winners than trials": (
        {"finals": "9"},
        ":6: searches.wide: finals: 9 are more than the 8 trials",
    ),
    "no trials": ({"trials": None}, ":6: searches.wide: trials: how many of each search?"),
    "no repeats": ({"repeats": "0"}, ":11: searches.wide.repeats: expected greater than or equal"),
    "a rate both fixed and searched": (
        {"lr": "0.1"},
        ":6: searches.wide: 'lr' is both fixed and an axis of the space",
    ),
    "an optimizer both fixed and searched": (
        {"space": BOTH + "}"},
        ":6: searches.wide: 'optimizer' is both fixed and an axis of the space",
    ),
    "no rate": (
        {"space": "{momentum: {uniform: [0, 0.9]}}"},
        ":6: searches.wide: 'lr' is missing: fix it, or make it an axis of the space",
    ),
    "no rate for one of the controllers": (
        {"space": "{controller: {choice: [fixed, metalr]}}"},
        ":6: searches.wide: 'lr' is missing: fix it, or make it an axis of the space",
    ),
    "no rate where the controller depends": (
        {
            "optimizer": None,
            "space": "{optimizer: {choice: [sgd, adam]}, sgd.controller: {choice: [metalr]}}",
        },
        ":6: searches.wide: 'lr' is missing: fix it, or make it an axis of the space",
    ),
    "a rate for the wrong controller": (
        {"space": "{controller: {choice: [fixed, metalr]}, metalr.lr: {uniform: [0.1, 1]}}"},
        ":6: searches.wide: space: 'lr' is missing: the rate, or a list of rates",
    ),
    "a schedule beside a controller": (
        {
            "space": "{" + RATE + ", schedule: {choice: [constant, cosine]}, "
            "controller: {choice: [fixed, metalr]}}"
        },
        ":6: searches.wide: space: controller 'metalr' sets the rate of every step itself: remove 'schedule'",
    ),
    "a schedule beside a fixed controller": (
        {"space": "{schedule: {choice: [constant, cosine]}}", "controller": "prior"},
        ":6: searches.wide: space: controller 'prior' sets the rate of every step itself: remove 'schedule'",
    ),
    "an unknown controller": (
        {"space": "{weight_decay: {uniform: [0, 1]}}", "lr": "0.1", "controller": "metlr"},
        ":6: searches.wide: space: controller: unknown controller 'metlr'; did you mean 'metalr'?",
    ),
    "a choice that is no controller": (
        {"space": with_axis("controller", "{choice: [fixed, metlr]}")},
        ":6: searches.wide: space: controller: unknown controller 'metlr'; did you mean 'metalr'?",
    ),
    "a list of controllers": (
        {"controller": "[metalr, prior]"},
        ":6: searches.wide: space: controller: expected a valid string, got ['metalr', 'prior']",
    ),
    "a list of controllers for a population": (
        {"controller": "[metalr, prior]", "samplers": "pbt"},
        ":6: searches.wide: space: controller: expected a valid string, got ['metalr', 'prior']",
    ),
    "no optimizer": (
        {"optimizer": None},
        ":6: searches.wide: 'optimizer' is missing: fix it, or make it an axis of the space",
    ),
    "several rates": (
        {"space": "{momentum: {uniform: [0, 0.9]}}", "lr": "[0.1, 0.2]"},
        ":6: searches.wide: a search takes one 'lr': make several an axis, as a choice",
    ),
    "a step longer than its range": (
        {"space": with_axis("momentum", "{uniform: [0, 0.9], step: 1}")},
        ":8: searches.wide.space.momentum: a step of 1 is longer than the range",
    ),
    "a step of 0": (
        {"space": with_axis("momentum", "{uniform: [0, 0.9], step: 0}")},
        ":8: searches.wide.space.momentum.step: expected greater than 0, got 0",
    ),
    "a logarithmic step": (
        {"space": "{lr: {log_uniform: [1e-4, 1], step: 0.1}}"},
        ":8: searches.wide.space.lr: a logarithmic range takes no step",
    ),
    "half a step between whole numbers": (
        {"space": with_axis("momentum", "{int: [0, 9], step: 0.5}")},
        ":8: searches.wide.space.momentum: a range of whole numbers takes a whole step, not 0.5",
    ),
    "a whole number that is none": (
        {"space": with_axis("momentum", "{int: [0, 1.5]}")},
        ":8: searches.wide.space.momentum.int.1: expected a whole number, not 1.5",
    ),
    "nothing to choose": (
        {"space": with_axis("momentum", "{choice: []}")},
        ":8: searches.wide.space.momentum.choice: expected at least one entry, not []",
    ),
    "a choice that is no list": (
        {"space": with_axis("momentum", "{choice: 0.9}")},
        ":8: searches.wide.space.momentum.choice: expected a list of choices, not 0.9",
    ),
    "a choice twice": (
        {"space": with_axis("momentum", "{choice: [0, 0.5, 0.0]}")},
        ":8: searches.wide.space.momentum: 0.0 is listed twice",
    ),
    "a choice twice, once read as text": (
        {"space": with_axis("weight_decay", "{choice: [1e-4, 0.0001]}")},
        ":8: searches.wide.space.weight_decay: 0.0001 is listed twice",
    ),
    "a choice of settings": (
        {"space": with_axis("momentum", "{choice: [{a: 1}]}")},
        ":8: searches.wide.space.momentum: a choice is a number, a name, true or false, not {'a': 1}",
    ),
    "a choice that is no number": (
        {"space": with_axis("momentum", "{choice: [.nan]}")},
        ":8: searches.wide.space.momentum: a choice that is a number must be finite, not nan",
    ),
    "steps of a choice": (
        {"space": with_axis("momentum", "{choice: [0, 1], step: 1}")},
        ":8: searches.wide.space.momentum: a choice takes no step",
    ),
    "an unknown pruner": (
        {"pruner": "asha"},
        ":11: searches.wide.pruner: unknown pruner 'asha'; known: hyperband, median, successive-halving",
    ),
    "a condition that never holds": (
        {"space": BOTH + ", rmsprop.momentum: {uniform: [0, 1]}}", "optimizer": None},
        ":6: searches.wide: space: 'rmsprop.momentum' holds for 'rmsprop', no choice of it",
    ),
    "a setting on two axes": (
        {
            "space": "{" + RATE + ", momentum: {uniform: [0, 1]}, schedule: {choice: [constant, cosine]}, "
            "cosine.momentum: {uniform: [0, 1]}}"
        },
        ":6: searches.wide: space: 'cosine.momentum' and 'momentum' are the same setting",
    ),
    "a corner that the optimizer refuses": (
        {"space": with_axis("momentum", "{uniform: [-1, 0.9]}")},
        ":6: searches.wide: space: 'momentum' takes a number of at least 0, not -1.0",
    ),
    "a rate of 0": (
        {"space": "{lr: {uniform: [0, 1]}}"},
        ":6: searches.wide: space: lr: expected greater than 0, got 0.0",
    ),
    "a setting that one choice does not take": (
        {"space": BOTH + ", momentum: {uniform: [0, 1]}}", "optimizer": None},
        ":6: searches.wide: space: optimizer 'adam' takes no 'momentum'; known: ",
    ),
    "seeds as an axis": (
        {"space": "{seeds: {choice: [1, 2]}, " + RATE + "}"},
        ":6: searches.wide: 'seeds' cannot be an axis of the space",
    ),
    "a choice that is no optimizer": (
        {"space": "{optimizer: {choice: [sgd, adma]}, " + RATE + "}", "optimizer": None},
        ":6: searches.wide: space: optimizer: unknown optimizer 'adma'; did you mean 'adam'?",
    ),
    "a fixed setting that the optimizer does not take": (
        {"momentun": "0.9"},
        ":6: searches.wide: space: optimizer 'sgd' takes no 'momentun'; did you mean 'momentum'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "line"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_gets_one_line_that_says_where_and_what(write_study, changes, line) -> None:
    path = write_study(text_of(**changes))
    with pytest.raises(UserError) as error:
        load_study(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}:")
    assert line in message


def test_a_pruner_needs_a_trial_that_can_be_cut_short(write_study) -> None:
    text = text_of(pruner="median").replace("epochs: 4", "epochs: 1")
    with pytest.raises(UserError, match=r"searches.wide.pruner: a trial of 1 epoch cannot be"):
        load_study(write_study(text))
