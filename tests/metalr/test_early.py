"""The best rate of a left-out family is told by a feature that knows it, and by no other."""

import math

import numpy as np
import pytest

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.early import (
    Target,
    View,
    best_rate,
    cases,
    predict_left_out,
    regret_at,
)
from tune_metalr.metalr.meta_training.grid import AXES, Cell, Outcome, settings
from tune_metalr.metalr.meta_training.surface import About, surfaces
from tune_metalr.metalr.prior import REFERENCE_WIDTH, Family, Prior

LAW = Prior(4e-3, 0.0, AXES[Family.ADAM].warmup_fractions[0], AXES[Family.ADAM].weight_decays[0])
OPTIMA = {"a-0": 1e-3, "a-1": 1.6e-2, "b-0": 2e-3, "b-1": 8e-3, "c-0": 4e-3, "c-1": 1.2e-2}
FAMILIES = {name: name[0] for name in OPTIMA}
ABOUT = {name: About(name[0], 0.1, REFERENCE_WIDTH) for name in OPTIMA}


@pytest.fixture(scope="module")
def outcomes():
    """Return runs of tasks with different best rates; `sigma` knows how far a rate is from it."""
    chance = np.random.default_rng(0)
    found = []
    for task, optimum in OPTIMA.items():
        for setting in settings(Family.ADAM, is_long=False):
            distance = math.log(setting.rate / optimum)
            look = [None] * len(Features._fields)
            look[Features._fields.index("sigma")] = 0.3 * distance
            look[Features._fields.index("alignment")] = float(chance.normal())
            cell = Cell(task, 1000, "adam", *setting, 0)
            # Tasks of low optima want much decay, and none another warm-up.
            strong = optimum < LAW.peak_rate(1000)
            score = 0.9 - 0.1 * abs(distance) - 0.05 * ((setting.weight_decay > 0.5) != strong)
            found.append(Outcome(cell, score, 0.0, diverged=False, seconds=0.0, features=[look]))
    return found


@pytest.fixture(scope="module")
def found(outcomes):
    flat = surfaces(
        outcomes,
        Family.ADAM,
        about=ABOUT,
    )
    return cases(flat, outcomes, Family.ADAM, LAW, point=0)


def test_the_best_rate_of_a_surface_is_found(found) -> None:
    for case in found:
        best = best_rate(case.surface, LAW)
        assert best == pytest.approx(OPTIMA[case.surface.task], rel=0.3)


def test_features_are_those_at_the_rate_of_the_prior(found) -> None:
    sigma = Features._fields.index("sigma")
    for case in found:
        expected = 0.3 * math.log(LAW.peak_rate(1000) / OPTIMA[case.surface.task])
        assert case.features[sigma] == pytest.approx(expected, abs=1e-6)


def predict(found, *features, **options):
    """Predict each family with the law and the features that all have in common."""
    views = {name: View(LAW, ("sigma",), found) for name in sorted(set(FAMILIES.values()))}
    return predict_left_out(views, features=features, **options)


def test_a_feature_that_knows_the_rate_lowers_the_regret(found) -> None:
    none = predict(found)
    knowing = predict(found, "sigma", ridge=0.01)
    guessing = predict(found, "alignment")
    assert knowing.explained > 0.8 > 0.2 > max(none.explained, guessing.explained)
    assert knowing.regret < 0.5 * min(none.regret, guessing.regret)


def test_features_are_those_that_passed_without_the_family(found) -> None:
    views = {
        name: View(LAW, passed, found)
        for name, passed in {"a": ("sigma",), "b": (), "c": ("alignment",)}.items()
    }
    mixed = predict_left_out(views, features=None)
    alone = [
        predict_left_out({name: view}, features=view.passed).regret for name, view in views.items()
    ]
    assert mixed.regret == pytest.approx(np.mean(alone))


def test_the_decay_is_predicted_by_what_knows_it(found) -> None:
    options = {"target": Target.WEIGHT_DECAY, "ridge": 0.01}
    none, knowing = (predict(found, *names, **options) for names in ((), ("sigma",)))
    assert knowing.explained > 0.4 > none.explained
    assert knowing.regret < none.regret


def test_where_one_warm_up_is_best_everywhere_nothing_is_left_to_explain(found) -> None:
    told = predict(found, target=Target.WARMUP_FRACTION)
    assert math.isnan(told.explained)
    assert told.regret == pytest.approx(np.mean([regret_at(case, LAW, 0.0) for case in found]))


def test_where_one_value_was_tried_no_best_is_told(outcomes) -> None:
    long = [o for o in outcomes if o.cell.task != "a-0" or o.cell[4:6] == LAW[2:4]]
    flat = surfaces(long, Family.ADAM, about=ABOUT)
    found = cases(flat, long, Family.ADAM, LAW, point=0)
    told = {case.surface.task: set(case.moves) for case in found}
    assert told["a-0"] == {Target.RATE}
    assert told["a-1"] == set(Target)


def test_without_a_move_the_regret_is_that_of_the_prior(found) -> None:
    case = found[0]
    rate = np.array([LAW.peak_rate(case.surface.steps)])
    expected = case.surface.regret(rate, LAW.warmup_fraction, LAW.weight_decay)[0]
    assert regret_at(case, LAW, 0.0) == pytest.approx(min(expected, 1.0))
