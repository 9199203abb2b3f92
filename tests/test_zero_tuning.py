"""The zero-tuning study: fair to its baselines, and large enough for what it asks."""

import pytest

from tests.conftest import REPOSITORY
from tune_metalr.methods import CONTROLLERS
from tune_metalr.plan import num_comparisons, num_pairs, smallest_p_value
from tune_metalr.study_file import load_study
from tune_metalr.trial import Purpose


@pytest.fixture(scope="module")
def study():
    return load_study(REPOSITORY / "studies/zero-tuning-cpu.yaml").study


def test_its_runs_are_development(study):
    assert study.purpose is Purpose.DEVELOPMENT


def test_a_baseline_may_use_every_static_setting_that_an_untuned_method_uses(study):
    searches = {choice.optimizer: choice for choice in study.searches.values()}
    assert set(searches) == {"adamw", "sgd"}
    for name, method in study.methods.items():
        if method.optimizer in searches and method.controller == "fixed":
            axes = searches[method.optimizer].axes()
            assert axes["lr"].low <= method.lr[0] <= axes["lr"].high, name
            assert method.schedule in axes["schedule"].choices, name
            assert method.keywords().keys() <= axes.keys(), name
    for search in searches.values():
        courses = set(search.axes()["schedule"].choices)
        # The prior is linear after a warm-up, the finder runs one cycle.
        assert courses == {"constant", "cosine", "linear", "one-cycle"}


def test_all_controllers_drive_the_same_two_optimizers(study):
    used = {choice.controller for choice in study.methods.values()}
    sets_rate = {name for name in used if CONTROLLERS[name].sets_rate}
    driven = {
        (choice.optimizer, choice.controller, str(choice.keywords()))
        for choice in study.methods.values()
        if choice.controller in sets_rate
    }
    momentum = str({"momentum": 0.9})
    assert driven == (
        {("adamw", name, "{}") for name in sets_rate}
        | {("sgd", name, momentum) for name in sets_rate}
        | {("sgd", "online-mlp", "{}")}
    )


def test_its_seeds_can_show_a_difference_after_correction(study):
    fewest, _ = num_pairs(study)
    smallest = smallest_p_value(fewest, num_comparisons(study))
    assert smallest <= study.analysis.alpha
