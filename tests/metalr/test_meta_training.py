"""The first suite of tasks, the oracle grid on it, and the fit of the prior."""

import json

import pytest
import torch

from tune_metalr.metalr.meta_training.fit import fit
from tune_metalr.metalr.meta_training.grid import AXES, Cell, Outcome, planned, run_grid, settings
from tune_metalr.metalr.meta_training.record import prior_file
from tune_metalr.metalr.meta_training.run import Setting, train
from tune_metalr.metalr.meta_training.surface import surfaces
from tune_metalr.metalr.meta_training.table import GRID_FILE, read_table, write_table
from tune_metalr.metalr.meta_training.task import initial_network, split_of, train_batches
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.prior import PRIOR_FILE, Family

GOOD = Setting(rate=8e-3, warmup_fraction=0.25, weight_decay=0.1)
BY_NAME = {task.name: task for task in TASKS}


@pytest.fixture(scope="module")
def splits():
    return {task.name: split_of(task) for task in TASKS}


def score(task, splits, *, steps, setting=GOOD, seed=0, family=Family.ADAM):
    return train(task, splits[task.name], family, steps=steps, setting=setting, seed=seed)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_is_the_same_for_the_same_seed(task, splits) -> None:
    again = split_of(task)
    assert torch.equal(again.train.inputs, splits[task.name].train.inputs)
    assert torch.equal(again.validation.classes, splits[task.name].validation.classes)
    first, same, other = (next(initial_network(task, seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    orders = [next(train_batches(task, again.train, seed)).classes for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


@pytest.mark.parametrize("name", ["digits", "teacher", "textures"])
def test_a_task_is_learned_in_seconds(name, splits) -> None:
    task = BY_NAME[name]
    found = score(task, splits, steps=120)
    assert found.accuracy > 3 * task.chance
    assert not found.diverged


def test_texts_stay_at_chance_for_a_while(splits) -> None:
    task = BY_NAME["keywords"]
    assert score(task, splits, steps=25).accuracy < task.chance + 0.1


def test_a_run_is_deterministic(splits) -> None:
    task = BY_NAME["teacher"]
    assert score(task, splits, steps=20) == score(task, splits, steps=20)


def test_global_random_numbers_are_left_alone(splits) -> None:
    before = torch.get_rng_state()
    score(BY_NAME["teacher"], splits, steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_that_diverges_counts_as_guessing(splits) -> None:
    task = BY_NAME["teacher"]
    setting = Setting(rate=1e6, warmup_fraction=0.05, weight_decay=0.0)
    found = score(task, splits, steps=30, setting=setting, family=Family.SGD_MOMENTUM)
    assert found.diverged
    assert found.accuracy == task.chance


def test_the_grid_goes_on_where_it_was_cut_short(tmp_path) -> None:
    task = BY_NAME["teacher"]._replace(horizons_steps=(3,))
    file = tmp_path / "cells.jsonl"
    assert len(run_grid((task,), file, num_seeds=1, limit_seconds=0)) <= 1
    whole = run_grid((task,), file, num_seeds=1, limit_seconds=60)
    assert [outcome.cell for outcome in whole] == [cell for _, cell in planned((task,), 1)]
    text = file.read_text()
    file.write_text(text[: len(text) - 40])  # the last line was half written
    again = run_grid((task,), file, num_seeds=1, limit_seconds=60)
    assert [o.cell for o in again] == [o.cell for o in whole]
    assert again[-1].accuracy == whole[-1].accuracy
    assert len(file.read_text().splitlines()) == len(whole)


def made_up(*, exponent, best_rate, decay):
    """Return outcomes whose accuracy is best at a known rate and decay, at every horizon."""
    for steps in (100, 400, 1600):
        optimum = best_rate * (steps / 1000) ** exponent
        for setting in settings(Family.ADAM, is_long=False):
            distance = abs(torch.tensor(setting.rate / optimum).log10().item())
            loss = 0.2 * distance + 0.05 * (setting.weight_decay != decay)
            cell = Cell("made-up", steps, "adam", *setting, 0)
            yield Outcome(cell, 0.9 - loss, loss, diverged=False, seconds=0.0)


@pytest.mark.parametrize(("exponent", "decay"), [(0.0, 0.1), (-0.5, 0.3), (-0.25, 0.01)])
def test_a_known_law_is_found_again(exponent, decay) -> None:
    found = surfaces(
        made_up(exponent=exponent, best_rate=4e-3, decay=decay),
        Family.ADAM,
        chance={"made-up": 0.1},
        task_families={"made-up": "made-up"},
    )
    law = fit(found, Family.ADAM).law
    assert law.rate_at_1000_steps == pytest.approx(4e-3, rel=0.25)
    assert law.rate_exponent == pytest.approx(exponent, abs=0.1)
    assert law.weight_decay == decay
    assert law.warmup_fraction in AXES[Family.ADAM].warmup_fractions


def test_what_is_shipped_is_the_fit_of_the_table_beside_it() -> None:
    shipped = json.loads(PRIOR_FILE.read_text())
    again = prior_file(read_table(GRID_FILE), TASKS, {})
    assert again["families"] == shipped["families"]
    for name, value in again["record"].items():
        assert shipped["record"][name] == value, name


def test_a_table_is_read_as_it_was_written(tmp_path) -> None:
    outcomes = read_table(GRID_FILE)
    copy = tmp_path / "copy.csv"
    write_table(outcomes, copy)
    assert copy.read_bytes() == GRID_FILE.read_bytes()


def test_no_named_workload_is_in_the_suite() -> None:
    assert {task.name for task in TASKS} == {"digits", "textures", "keywords", "teacher"}
