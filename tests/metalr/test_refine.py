"""Refining a law by whole runs: it finds a better one, and goes on to the same numbers."""

import math

import numpy as np
import pytest

from tune_metalr.metalr.meta_training import refine as module
from tune_metalr.metalr.meta_training.processes import processes_of_one_thread
from tune_metalr.metalr.meta_training.refine import (
    Regret,
    Search,
    law_of,
    refine,
    run_regret,
)
from tune_metalr.metalr.meta_training.surface import Curve, Surface
from tune_metalr.metalr.meta_training.task import width
from tune_metalr.metalr.meta_training.tasks import FAMILIES, TASKS
from tune_metalr.metalr.prior import Family, Prior

START = Prior(2e-3, -0.1, 0.1, 0.3)
BEST = Prior(8e-3, -0.3, 0.4, 0.1, -0.2)
LEVEL = Curve(np.array([0.0]), np.array([0.5]))


def surface(task):
    return Surface(
        task.name, task.family, task.steps, width(task), LEVEL, {}, {}, 0.9, 0.1, 0.0, 0.5
    )


def made_up_regret(task, surface, family, law, seed):
    """Return how far a law is from the best, with luck that depends on task and seed alone."""
    luck = np.random.default_rng(len(task.name) + seed).normal()
    best = BEST.peak_rate(task.steps, surface.width)
    far = math.log(surface.peak_rate(law) / best) ** 2
    return Regret(0.1 * far + (law.warmup_fraction - BEST.warmup_fraction) ** 2 + luck, 2.0)


@pytest.fixture
def search(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "run_regret", made_up_regret)

    def begin(generations, name="log", *, has_width=True, **options):
        with processes_of_one_thread(1) as processes:
            return refine(
                START,
                Family.ADAM,
                TASKS,
                {task.name: surface(task) for task in TASKS},
                how=Search(generations=generations, has_width=has_width),
                processes=processes,
                log=tmp_path / name,
                **options,
            )

    return begin


def test_a_better_law_is_found(search) -> None:
    found = search(40).law
    assert found.peak_rate(700) == pytest.approx(BEST.peak_rate(700), rel=0.4)
    assert found.warmup_fraction == pytest.approx(BEST.warmup_fraction, abs=0.15)
    assert found.width_exponent == pytest.approx(BEST.width_exponent, abs=0.15)


def test_a_law_that_may_not_look_at_the_width_is_refined_without(search) -> None:
    assert search(3, has_width=False).law.width_exponent == 0.0


def test_a_generation_has_a_task_of_every_family(search, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(module, "run_regret", lambda *run: seen.append(run) or made_up_regret(*run))
    search(2)
    names = [[task.name for task, *_, seed in seen if seed == 1000 + n] for n in (0, 1)]
    assert [sorted({name.split("-")[0] for name in some}) for some in names] == [
        sorted(FAMILIES)
    ] * 2
    assert names[0][:6] * 8 == names[0] != names[1]


def test_a_search_goes_on_to_the_same_numbers(search) -> None:
    whole = search(6)
    times = iter([False, False, True])
    search(6, "parts", is_time_up=lambda: next(times))
    assert search(6, "parts") == whole
    assert [generation.seconds for generation in whole.generations] == [8 * 6 * 2.0] * 6


def test_a_point_outside_is_a_law_at_the_edge() -> None:
    law = law_of(np.array([0.0, 0.3, -1.0, math.log(1e-9), 0.1]))
    assert law == Prior(1.0, 0.0, 0.02, 0.0, 0.0)
    point = np.array([math.log(8e-3), -0.3, 0.4, math.log(0.101), -0.2])
    assert law_of(point) == BEST
    assert law_of(point[:-1]) == BEST._replace(width_exponent=0.0)


def test_a_regret_is_that_of_a_run() -> None:
    task = next(task for task in TASKS if task.name == "teacher-0")._replace(steps=60)
    good, bad = (
        run_regret(
            task, surface(task), Family.ADAM, START._replace(rate_at_1000_steps=rate), 0
        ).regret
        for rate in (8e-3, 1e-6)
    )
    assert good < bad <= 1.0
