"""The gate passes features that tell the rate, and stops those that tell luck or nothing."""

import math
import random

import pytest

from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training.gate import features_at, gates, response
from tune_metalr.metalr.meta_training.grid import AXES, Cell, Outcome
from tune_metalr.metalr.prior import Family

AXES_OF_ADAM = AXES[Family.ADAM]
BASE = (AXES_OF_ADAM.warmup_fractions[0], AXES_OF_ADAM.weight_decays[0])


def outcome(task, rate, seed, features):
    cell = Cell(task, 1000, "adam", rate, *BASE, seed)
    return Outcome(cell, 0.5, 0.5, diverged=False, seconds=0.0, features=features)


def seen(**values):
    """Return one look; what is not given cannot be told."""
    return [values.get(name) for name in Features._fields]


def suite_of(tasks=("textures-0", "keywords-0")):
    """Return runs in which one feature tells the rate, one luck, and one the task alone."""
    luck = random.Random(0)
    for task in tasks:
        for rate in AXES_OF_ADAM.rates:
            for seed in (0, 1):
                look = seen(
                    sigma=0.5 * math.log(rate) + luck.gauss(0, 0.05),
                    alignment=0.1 * math.log(rate) + luck.gauss(0, 1),
                    relative_step=len(task) + luck.gauss(0, 0.01),
                )
                yield outcome(task, rate, seed, [None, look, None, None])


def passed(**changes):
    settings = {
        "point": 2,
        "task_families": {"textures-0": "textures", "keywords-0": "keywords"},
        "judges": ("textures", "keywords"),
    }
    return {gate.feature: gate for gate in gates(suite_of(), Family.ADAM, **(settings | changes))}


def test_what_tells_the_rate_passes_and_nothing_else() -> None:
    found = passed()
    assert [name for name, gate in found.items() if gate.passes] == ["sigma"]
    assert found["sigma"].clearness["textures"] == pytest.approx(0.5 * math.log(2) / 0.05, rel=0.4)
    rates = [math.log(rate) for rate in AXES_OF_ADAM.rates]
    assert found["sigma"].lowest == pytest.approx(0.5 * min(rates), abs=0.3)
    assert found["sigma"].highest == pytest.approx(0.5 * max(rates), abs=0.3)


def test_under_sgd_what_has_the_unit_of_the_gradient_never_passes() -> None:
    tells = [
        outcome(task, rate, seed, [seen(update_size=math.log(rate) + 0.01 * seed)])
        for task in ("textures-0", "keywords-0")
        for rate in AXES_OF_ADAM.rates
        for seed in (0, 1)
    ]
    families = {"textures-0": "textures", "keywords-0": "keywords"}
    for family, passes in ((Family.ADAM, True), (Family.SGD_MOMENTUM, False)):
        found = gates(
            tells, family, point=0, task_families=families, judges=tuple(families.values())
        )
        assert {gate.feature: gate.passes for gate in found}["update_size"] is passes


def test_a_family_that_was_not_seen_lets_nothing_pass() -> None:
    assert not any(gate.passes for gate in passed(judges=("textures", "vectors")).values())


def test_the_last_look_before_a_point_counts() -> None:
    first, second = seen(sigma=1.0), seen(sigma=2.0)
    run = outcome("any", 1e-3, 0, [first, None, second, None])
    sigma = Features._fields.index("sigma")
    assert [features_at(run, point)[sigma] for point in range(4)] == [1.0, 1.0, 2.0, 2.0]
    assert features_at(outcome("any", 1e-3, 0, [None, first]), 0) is None


def test_a_response_is_a_slope_and_the_noise_of_seeds() -> None:
    values = {
        (rate, seed): 2.0 * math.log(rate) + (0.1 if seed else -0.1)
        for rate in (1e-3, 2e-3, 4e-3, 8e-3)
        for seed in (0, 1)
    }
    found = response(values)
    assert found is not None
    assert found.slope == pytest.approx(2.0)
    assert found.noise == pytest.approx(0.1 * math.sqrt(2))
    assert found.clearness == pytest.approx(2.0 * math.log(2) / (0.1 * math.sqrt(2)))


def test_too_few_rates_say_nothing() -> None:
    values = {(rate, seed): 1.0 for rate in (1e-3, 2e-3, 4e-3) for seed in (0, 1)}
    assert response(values) is None
    assert response({(rate, 0): rate for rate in (1e-3, 2e-3, 4e-3, 8e-3)}) is None
