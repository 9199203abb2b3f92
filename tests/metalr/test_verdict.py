"""The verdict: a residual is shipped where left-out families gain for certain, and only there."""

import math

import numpy as np
import pytest

from tests.metalr.test_ablation import PARTS
from tune_metalr.metalr.features import Features
from tune_metalr.metalr.meta_training import learn
from tune_metalr.metalr.meta_training.fit import Fitting
from tune_metalr.metalr.meta_training.grid import Cell, Outcome, settings
from tune_metalr.metalr.meta_training.learn import LeftOut
from tune_metalr.metalr.meta_training.tasks import FAMILIES, TASKS
from tune_metalr.metalr.meta_training.verdict import Known, described, gain_of, judge
from tune_metalr.metalr.prior import Family

SHORT = [task for task in TASKS if task.steps < 5000]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(learn, "GENERATIONS", 20)


def outcomes(*, clearness):
    """Return a grid in which `sigma` tells how far a rate is from the best, through noise."""
    luck = np.random.default_rng(1)
    optima = {task.name: float(luck.uniform(math.log(1e-3), math.log(3e-2))) for task in SHORT}
    for task in SHORT:
        for setting in settings(Family.ADAM, is_long=False):
            for seed in (0, 1):
                distance = math.log(setting.rate) - optima[task.name]
                look = dict.fromkeys(Features._fields, 0.0)
                look["sigma"] = clearness * distance + float(luck.normal())
                cell = Cell(task.name, task.steps, "adam", *setting, seed)
                score = 0.9 - 0.05 * distance**2
                yield Outcome(cell, score, 0.0, False, 0.0, [list(look.values())] * 16)


def judged(clearness, *, seeds=(0, 1)):
    found = [outcome for outcome in outcomes(clearness=clearness) if outcome.cell.seed in seeds]
    known = Known.of(found, SHORT, Family.ADAM)
    return judge(known, Fitting(known.surfaces, Family.ADAM).fit().law)


def test_a_feature_that_tells_the_rate_everywhere_pays() -> None:
    verdict = judged(clearness=8.0)
    assert [gate.feature for gate in verdict.gates if gate.passes] == ["sigma"]
    assert verdict.gain.pays
    assert verdict.residual is not None
    assert {one.task_family for one in verdict.left_out} == set(FAMILIES)
    told = described(verdict)
    assert told["pays"] is True
    explained = {(p["target"], p["inputs"]): p["explained"] for p in told["predictions"]}
    assert explained["rate", "horizon, sigma"] > 0.5 > explained["rate", "horizon, alignment"]
    assert explained["rate", "horizon, all that passed"] == explained["rate", "horizon, sigma"]
    assert told["curve"][-1] < told["curve"][0]


def test_with_one_seed_no_feature_can_be_told_from_luck() -> None:
    verdict = judged(clearness=8.0, seeds=(0,))
    assert not any(gate.passes for gate in verdict.gates)
    assert verdict.residual is None
    assert verdict.gain.mean == 0
    told = described(verdict)
    assert told["pays"] is told["gain"] is told["gates"]["sigma"]["passes"] is None


def test_luck_does_not_pay() -> None:
    verdict = judged(clearness=0.0)
    assert not any(gate.passes for gate in verdict.gates)
    assert not verdict.gain.pays
    assert verdict.residual is None


def test_a_gain_on_one_family_alone_is_not_certain() -> None:
    def apart(*gains):
        return [LeftOut(str(n), PARTS, (0.2,), (0.2 - gain,)) for n, gain in enumerate(gains)]

    even, uneven = (gain_of(apart(*gains)) for gains in ((0.1, 0.11, 0.09), (0.3, 0.0, 0.0)))
    assert even.mean == pytest.approx(uneven.mean) == pytest.approx(0.1)
    assert even.pays
    assert not uneven.pays
