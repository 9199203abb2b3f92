"""The ablation: arms differ by their part alone, and gains are what a part saves on every family."""

import hashlib
import json
import math
import time

import pytest
import torch

from tests.metalr.problems import Quadratic, train
from tests.metalr.test_refine import surface
from tests.small_training import through_a_file
from tune_metalr.metalr.meta_training.ablation import (
    Arm,
    Result,
    Run,
    ablate,
    gains,
    gains_over_prior,
    make_controller,
)
from tune_metalr.metalr.meta_training.evaluate import run_controller
from tune_metalr.metalr.meta_training.learn import Parts
from tune_metalr.metalr.meta_training.online import META_RATE, OnlineMetaLR
from tune_metalr.metalr.meta_training.processes import processes_of_one_thread
from tune_metalr.metalr.meta_training.task import split_of
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.meta_training.unguarded import UnguardedMetaLR
from tune_metalr.metalr.metalr import MetaLR
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.metalr.prior_controller import PriorController
from tune_metalr.metalr.residual import (
    HORIZON,
    RESIDUAL_FILES,
    Range,
    Residual,
    shipped_residual,
)

LAW = Prior(8e-3, -0.3, 0.25, 0.1)
TEACHER = next(task for task in TASKS if task.name == "teacher-0")._replace(steps=70)


def raising():
    """Return a residual that raises the rate, whatever it is told."""
    wide = Range(0.0, 1.0, -100.0, 100.0)
    residual = Residual.untrained({"loss_position": wide, HORIZON: wide}, seed=0)
    weights = torch.zeros_like(residual.vector())
    weights[-16:-8], weights[-8:] = 5.0, 0.1  # biases, and the output
    return residual.with_vector(weights)


PARTS = Parts(LAW, ("loss_position",), raising())


def results(tmp_path, *, tasks=(TEACHER,), seeds=(7,), seconds=60.0):
    with processes_of_one_thread(1) as processes:
        return ablate(
            tasks,
            {task.name: surface(task) for task in tasks},
            {task.family: PARTS for task in tasks},
            Family.ADAM,
            seeds=seeds,
            processes=processes,
            log=tmp_path / "ablation.jsonl",
            end=time.monotonic() + seconds,
        )


def test_every_arm_is_run_once_and_a_killed_run_again(tmp_path) -> None:
    found = results(tmp_path)
    assert [result.run.arm for result in found] == list(Arm)
    log = tmp_path / "ablation.jsonl"
    log.write_text(log.read_text()[:-5])
    again = results(tmp_path)
    assert [result[:2] for result in again] == [result[:2] for result in found]
    assert len(log.read_text().splitlines()) == len(Arm)


def test_the_residual_and_the_average_change_a_run(tmp_path) -> None:
    regrets = {result.run.arm: result.regret for result in results(tmp_path)}
    assert regrets["residual"] != regrets["probe"]
    assert regrets["averaging"] != regrets["residual"]


def test_each_arm_has_the_parts_of_those_before_it() -> None:
    kinds = [type(make_controller(arm, PARTS, adam(Quadratic()), 200)) for arm in Arm]
    assert kinds == [
        PriorController, UnguardedMetaLR, MetaLR, MetaLR, OnlineMetaLR, OnlineMetaLR,
    ]  # fmt: skip


def test_the_residual_moves_the_rate_once_at_the_last_look_before_a_quarter() -> None:
    rates = [
        train(make_controller(arm, PARTS, adam(problem), 200), problem, 200).rates
        for arm, problem in ((Arm.PROBE, Quadratic()), (Arm.RESIDUAL, Quadratic()))
    ]
    ratios = [moved / plain for plain, moved in zip(*rates, strict=True)]
    assert ratios[:32] == [1.0] * 32
    assert ratios[32:] == pytest.approx([ratios[32]] * 168)
    assert 1.5 < ratios[32] < 4.0


@pytest.mark.parametrize("saved_at", [20, 31, 32, 90])
def test_with_a_residual_a_run_resumes_bit_for_bit(saved_at) -> None:
    whole, halves = Quadratic(), Quadratic()
    rates = train(make_controller(Arm.RESIDUAL, PARTS, adam(whole), 200), whole, 200).rates
    optimizer = adam(halves)
    first = make_controller(Arm.RESIDUAL, PARTS, optimizer, 200)
    begun = train(first, halves, saved_at).rates
    again = make_controller(Arm.RESIDUAL, PARTS, optimizer, 200)
    again.load_state_dict(through_a_file(first.state_dict()))
    assert begun + train(again, halves, 200 - saved_at).rates == rates
    assert torch.equal(whole.weight, halves.weight)


def test_a_shipped_residual_corrects_the_shipped_prior_alone(tmp_path, monkeypatch) -> None:
    laws = tmp_path / "prior.json"
    monkeypatch.setattr("tune_metalr.metalr.residual.PRIOR_FILE", laws)
    shipped_residual.cache_clear()
    file = tmp_path / RESIDUAL_FILES[Family.ADAM]
    raising().save(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    laws.write_text(json.dumps({"residuals": {"adam": digest}}))

    def moved(**options):
        problem = Quadratic()
        controller = MetaLR(adam(problem), 200, **options)
        train(controller, problem, 40)
        return controller.state_dict()["log_move"]

    try:
        assert moved() > 0.4
        assert moved(prior=LAW) is None
        laws.write_text(json.dumps({"residuals": {}}))  # left behind by another law
        shipped_residual.cache_clear()
        assert moved() is None
        laws.write_text(json.dumps({"residuals": {"adam": "another"}}))
        shipped_residual.cache_clear()
        with pytest.raises(ValueError, match=r"is not the one that prior\.json names"):
            moved()
    finally:
        shipped_residual.cache_clear()


def adam(problem):
    return torch.optim.AdamW([problem.weight], lr=1e-3, weight_decay=0.0)


def test_the_online_update_moves_the_rate_by_next_to_nothing() -> None:
    problem = Quadratic((1.0, 300.0))
    controller = OnlineMetaLR(adam(problem), 400, prior=LAW, residual=None)
    train(controller, problem, 400)
    looks = controller.forward_evaluations
    assert 0 < abs(controller.correction) <= 1.1 * looks * META_RATE


def test_an_update_after_which_the_loss_rose_is_taken_back() -> None:
    problem = Quadratic((1.0, 300.0))
    controller = OnlineMetaLR(adam(problem), 400, prior=LAW, residual=None)
    train(controller, problem, 20)
    assert (tried := controller.correction) != 0
    problem.times = 1e6  # the loss rises, whatever the rate is
    train(controller, problem, 15)
    assert 0 < abs(controller.correction) < abs(tried) + META_RATE / 2


def test_an_average_is_that_of_the_last_weights() -> None:
    split = split_of(TEACHER)
    arms = [
        run_controller(
            TEACHER,
            split,
            Family.ADAM,
            seed=0,
            make_controller=lambda optimizer, steps: make_controller(
                Arm.PRIOR, PARTS, optimizer, steps
            ),
            averaged_share=share,
        )
        for share in (0.0, 1e-9, 0.5)
    ]
    assert arms[0] == arms[1]  # not one step is within it
    assert arms[0] != arms[2]


def test_a_run_goes_on_after_a_loss_that_is_no_number() -> None:
    losses = iter([1.0, 1.0, math.nan])

    def loss(outputs, targets):
        return next(losses, 1.0) * TEACHER.objective.loss(outputs, targets)

    task = TEACHER._replace(objective=TEACHER.objective._replace(loss=loss))
    found = run_controller(
        task,
        split_of(task),
        Family.ADAM,
        seed=0,
        make_controller=lambda optimizer, steps: make_controller(
            Arm.PRIOR, PARTS, optimizer, steps
        ),
    )
    assert found.score > 2 * TEACHER.chance


def test_a_gain_is_over_families_and_over_the_part_before() -> None:
    families = {"a-0": "a", "a-1": "a", "b-0": "b"}
    regrets = {
        Arm.PRIOR: 0.5, Arm.PROBE: 0.4, Arm.GUARD: 0.4, Arm.RESIDUAL: 0.2, Arm.ONLINE: 0.2,
    }  # fmt: skip
    made = [
        Result(
            Run(task, "adam", arm, seed),
            regret + (0.01 if task == "b-0" else 0.0) * (arm == "probe"),
            seconds=1.0,
        )
        for task in families
        for arm, regret in regrets.items()
        for seed in (1, 2)
    ]
    found = gains(made, families)
    assert found[Arm.PROBE].mean == pytest.approx((0.1 + 0.09) / 2)
    assert found[Arm.GUARD].mean == pytest.approx((0.0 + 0.01) / 2)
    assert found[Arm.RESIDUAL].mean == pytest.approx(0.2)
    assert found[Arm.ONLINE].mean == pytest.approx(0.0)
    assert Arm.AVERAGING not in found
    assert found[Arm.PROBE].low < 0.1 < found[Arm.PROBE].high
    whole = gains_over_prior(made, families)
    assert whole[Arm.PROBE] == found[Arm.PROBE]
    assert whole[Arm.ONLINE].mean == pytest.approx(0.3)
    assert Arm.PRIOR not in whole
