"""Runs on the suite of tasks, the oracle grid on it, and the fit of the prior."""

import json
import math

import pytest
import torch

from tests.conftest import REPOSITORY
from tune_metalr.metalr.meta_training.fit import Fitting
from tune_metalr.metalr.meta_training.grid import AXES, Cell, Outcome, planned, run_grid, settings
from tune_metalr.metalr.meta_training.processes import processes_of_one_thread
from tune_metalr.metalr.meta_training.record import prior_file
from tune_metalr.metalr.meta_training.run import Setting, train
from tune_metalr.metalr.meta_training.surface import About, surfaces
from tune_metalr.metalr.meta_training.table import GRID_FILE, read_table, write_table
from tune_metalr.metalr.meta_training.task import split_of
from tune_metalr.metalr.meta_training.tasks import TASKS
from tune_metalr.metalr.meta_training.watch import Watch
from tune_metalr.metalr.prior import PRIOR_FILE, REFERENCE_WIDTH, Family

KEPT = REPOSITORY / "analysis/meta-training"
"""Trainings that are not shipped."""

GOOD = Setting(rate=8e-3, warmup_fraction=0.25, weight_decay=0.1)
TEACHER = next(task for task in TASKS if task.name == "teacher-0")


@pytest.fixture(scope="module")
def split():
    return split_of(TEACHER)


def score(split, *, steps, setting=GOOD, family=Family.ADAM):
    return train(TEACHER._replace(steps=steps), split, family, setting=setting, seed=0)


def test_a_run_is_deterministic(split) -> None:
    assert score(split, steps=20) == score(split, steps=20)


def test_global_random_numbers_are_left_alone(split) -> None:
    before = torch.get_rng_state()
    score(split, steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_that_diverges_counts_as_guessing(split) -> None:
    setting = Setting(rate=1e6, warmup_fraction=0.05, weight_decay=0.0)
    found = score(split, steps=30, setting=setting, family=Family.SGD_MOMENTUM)
    assert found.diverged
    assert found.score == TEACHER.chance


def test_another_unit_of_the_loss_gives_the_same_training(split) -> None:
    for family, rate in ((Family.ADAM, 8e-3), (Family.SGD_MOMENTUM, 1.0)):
        setting = Setting(rate=rate, warmup_fraction=0.25, weight_decay=0.0)
        scores = [
            train(
                TEACHER._replace(steps=60, loss_scale=scale), split, family, setting=setting, seed=0
            ).score
            for scale in (1.0, 64.0)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=0.01)


def run_all(task, file, *, count=1, **options):
    with processes_of_one_thread(count) as processes:
        return run_grid((task,), file, processes=processes, **options)


def test_the_grid_goes_on_where_it_was_cut_short(tmp_path) -> None:
    task = TEACHER._replace(steps=3)
    file = tmp_path / "cells.jsonl"
    assert run_all(task, file, seeds=(0,), end=0.0) == []
    whole = run_all(task, file, seeds=(0,))
    assert [outcome.cell for outcome in whole] == [cell for _, cell in planned((task,), (0,))]
    text = file.read_text()
    file.write_text(text[: len(text) - 40])  # the last line was half written
    again = run_all(task, file, seeds=(0,))
    assert [o.cell for o in again] == [o.cell for o in whole]
    assert again[-1].score == whole[-1].score
    assert len(file.read_text().splitlines()) == len(whole)


def test_a_grid_on_two_processes_is_the_same(tmp_path) -> None:
    task = TEACHER._replace(steps=2)
    grids = [run_all(task, tmp_path / f"{count}.jsonl", count=count) for count in (1, 2)]
    assert [o._replace(seconds=0) for o in grids[0]] == [o._replace(seconds=0) for o in grids[1]]


def made_up(*, exponent, best_rate, decay, warmup=0.25):
    """Return outcomes whose accuracy is best at a known rate, decay and warm-up, at every horizon."""
    for steps in (100, 400, 1600):
        optimum = best_rate * (steps / 1000) ** exponent
        for setting in settings(Family.ADAM, is_long=False):
            distance = abs(torch.tensor(setting.rate / optimum).log10().item())
            loss = 0.2 * distance + 0.05 * (setting.weight_decay != decay)
            loss += 0.05 * (setting.warmup_fraction != warmup)
            cell = Cell("made-up", steps, "adam", *setting, 0)
            yield Outcome(cell, 0.9 - loss, loss, diverged=False, seconds=0.0, features=[])


@pytest.mark.parametrize(("exponent", "decay"), [(0.0, 1.0), (-0.5, 0.3), (-0.25, 0.03)])
def test_a_known_law_is_found_again(exponent, decay) -> None:
    found = surfaces(
        made_up(exponent=exponent, best_rate=4e-3, decay=decay),
        Family.ADAM,
        about={"made-up": About("made-up", 0.1, REFERENCE_WIDTH)},
    )
    law = Fitting(found, Family.ADAM).fit().law
    assert law.rate_at_1000_steps == pytest.approx(4e-3, rel=0.25)
    assert law.rate_exponent == pytest.approx(exponent, abs=0.1)
    assert law.weight_decay == decay
    assert law.warmup_fraction == 0.25


@pytest.mark.parametrize("warmup", AXES[Family.ADAM].warmup_fractions)
def test_the_best_warmup_is_found_again(warmup) -> None:
    outcomes = made_up(exponent=0.0, best_rate=4e-3, decay=0.3, warmup=warmup)
    about = {"made-up": About("made-up", 0.1, REFERENCE_WIDTH)}
    law = Fitting(surfaces(outcomes, Family.ADAM, about=about), Family.ADAM).fit().law
    assert law.warmup_fraction == warmup
    assert law.rate_at_1000_steps == pytest.approx(4e-3, rel=0.25)


def of_widths(width_exponent, *, families=3):
    """Return surfaces of networks of three widths in each family."""
    outcomes, about = [], {}
    for number in range(families):
        for width in (25.0, 100.0, 400.0):
            name = f"{number}-{width}"
            about[name] = About(str(number), 0.1, width)
            rate = 4e-3 * (width / 100) ** width_exponent
            found = made_up(exponent=0.0, best_rate=rate, decay=0.3)
            outcomes += [o._replace(cell=o.cell._replace(task=name)) for o in found]
    return surfaces(outcomes, Family.ADAM, about=about)


@pytest.mark.parametrize("exponent", [0.0, -0.4])
def test_the_width_counts_where_it_pays_on_families_left_out(exponent) -> None:
    law = Fitting(of_widths(exponent), Family.ADAM).fit_what_transfers().law
    assert law.width_exponent == pytest.approx(exponent, abs=0.1)
    assert (law.width_exponent == 0) == (exponent == 0)


def test_with_one_family_nothing_can_be_left_out() -> None:
    assert Fitting(of_widths(-0.4, families=1), Family.ADAM).fit_what_transfers().law[-1] == 0


@pytest.mark.parametrize(
    ("prior", "table"),
    [(PRIOR_FILE, GRID_FILE)]
    + [(prior, prior.with_name(GRID_FILE.name)) for prior in sorted(KEPT.glob("*/prior.json"))],
    ids=lambda file: file.parent.name,
)
def test_every_training_that_is_kept_is_the_fit_of_its_table(prior, table) -> None:
    found = json.loads(prior.read_text())
    verdicts = json.loads(prior.with_name("verdicts.json").read_text())
    again = prior_file(read_table(table), TASKS, {})
    record = found["record"]
    for family, fit_again in again["record"]["fits"].items():
        refined = record["fits"][family].pop("refined", {"pays": False})
        law = refined["law"] if refined["pays"] else fit_again["law"]
        assert found["families"][family] == law
        assert verdicts[family]["ablation"]["seconds"] == record["seconds_of"][f"ablation {family}"]
    assert record["seconds"] == sum(record["seconds_of"].values())
    cost = again["record"].pop("seconds"), again["record"].pop("seconds_of")
    assert cost == (record["seconds_of"]["grid"], {"grid": cost[0]})
    for name, value in again["record"].items():
        assert record[name] == value, name


def test_a_table_is_read_as_it_was_written(tmp_path) -> None:
    outcomes = read_table(GRID_FILE)
    copy = tmp_path / "copy.csv"
    write_table(outcomes, copy)
    assert copy.read_bytes() == GRID_FILE.read_bytes()


def test_looking_changes_nothing(split) -> None:
    watch = Watch(40)
    task = TEACHER._replace(steps=40)
    for family in Family:
        plain, watched = (
            train(task, split, family, setting=GOOD, seed=0, watch=one) for one in (None, watch)
        )
        assert plain == watched
    seen = [features for features in watch.features if features is not None]
    assert len(seen) == 5  # steps 0 and 1 are in the first sixteenth
    assert all(math.isfinite(value) for value in seen[-1])
