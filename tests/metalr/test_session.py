"""Meta-training as one command: what it says, writes, and leaves alone until it is complete."""

import hashlib
import json
import shutil
import sys

import pytest

from tests.conftest import tune_metalr
from tests.metalr.test_verdict import SHORT
from tests.metalr.test_verdict import outcomes as made_outcomes
from tune_metalr import cli_meta
from tune_metalr.errors import UserError
from tune_metalr.metalr.meta_training import (
    ablation,
    grid,
    learn,
    refine,
    session,
    trial_of_laws,
)
from tune_metalr.metalr.meta_training import (
    stages as stages_module,
)
from tune_metalr.metalr.meta_training.ablation import Arm, Result
from tune_metalr.metalr.meta_training.grid import Cell, Outcome, planned
from tune_metalr.metalr.meta_training.record import laws_of
from tune_metalr.metalr.meta_training.refine import Regret, Search
from tune_metalr.metalr.meta_training.session import meta_train
from tune_metalr.metalr.meta_training.table import read_table
from tune_metalr.metalr.meta_training.tasks import FAMILIES
from tune_metalr.metalr.prior import Family, Prior
from tune_metalr.metalr.residual import RESIDUAL_FILES, Residual


def made(task, cell):
    """Stand for a run: Adam's features tell the rate, those of SGD nothing."""
    if cell.family == Family.ADAM:
        return KNOWN[cell.task, cell.rate, cell.seed % 2]._replace(cell=cell)
    return Outcome(cell, 0.5, 0.5, False, 0.0, [[0.0] * 9] * 16)


def made_result(task, surface, parts, run):
    """Stand for a run of the ablation, in which the probe alone is worth something."""
    return Result(run, 0.5 if run.arm == Arm.PRIOR else 0.4, seconds=1.0)


def made_regret(task, surface, family, law, seed):
    """Stand for a run of refining: SGD gains by a stronger decay, Adam by nothing."""
    return Regret(0.5 if family is Family.ADAM else 0.5 - law.weight_decay, seconds=2.0)


ORIGIN = {"command": "tune-metalr meta-train DIR", "commit": "0123abc"}
KNOWN = {(o.cell.task, o.cell.rate, o.cell.seed): o for o in made_outcomes(clearness=8.0)}


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "TASKS", tuple(SHORT))
    package = tmp_path / "package"
    package.mkdir()
    for name in ("PRIOR_FILE", "GRID_FILE"):
        monkeypatch.setattr(session, name, package / getattr(session, name).name)
    monkeypatch.setattr(grid, "run_cell", made)
    monkeypatch.setattr(ablation, "run_arm", made_result)
    monkeypatch.setattr(refine, "run_regret", made_regret)
    monkeypatch.setattr(trial_of_laws, "run_regret", made_regret)
    monkeypatch.setattr(learn, "GENERATIONS", 20)
    said: list[str] = []

    def begin(limit_seconds=60.0, *, seed=0, grid_seeds=2, is_shipped=False, others=None):
        said.clear()
        stages = meta_train(
            tmp_path / "out",
            limit_seconds=limit_seconds,
            processes=1,
            seed=seed,
            grid_seeds=grid_seeds,
            origin=ORIGIN,
            is_shipped=is_shipped,
            say=said.append,
            others=others,
        )
        return stages, said, tmp_path / "out"

    return begin


def test_a_whole_meta_training_writes_what_it_has_found(train) -> None:
    (grid_stage, *others), said, folder = train()
    assert all(stage.is_complete for stage in (grid_stage, *others))
    assert [stage.name for stage in others[:3]] == [
        "refining adam",
        "trial of laws adam",
        "ablation adam",
    ]
    count = grid_stage.planned_runs
    assert said[0] == f"{count} of {count} runs of the grid are finished"
    assert len(said) == 1 + len(Family) * (3 + len(Arm) - 1)
    content = json.loads((folder / "prior.json").read_text())
    assert set(content["families"]) == set(Family)
    assert Prior(**content["families"]["adam"]).rate_at_1000_steps > 0
    fits = content["record"]["fits"]
    adam, sgd = (fits[family] for family in Family)
    assert [one["refined"]["pays"] for one in (adam, sgd)] == [False, True]
    assert content["families"]["adam"] == adam["law"] != adam["refined"]["law"]
    assert content["families"]["sgd-momentum"] == sgd["refined"]["law"] != sgd["law"]
    assert (sgd["has_width"], sgd["refined"]["law"]["width_exponent"]) == (False, 0.0)
    refined = 2.0 * (Search().generations * Search().population * len(FAMILIES) + 6 * len(SHORT))
    ablated = 1.0 * len(SHORT) * len(Arm) * 3
    assert content["record"]["seconds_of"] == {"grid": 0} | {
        f"{stage} {family}": seconds
        for family in Family
        for stage, seconds in (("refining", refined), ("ablation", ablated))
    }
    assert content["record"]["seconds"] == len(Family) * (refined + ablated)
    assert content["record"]["unfinished"] == []
    assert {name: content["record"][name] for name in ORIGIN} == ORIGIN
    curve = sgd["refined"]["curve"]
    assert len(curve) == Search().generations
    assert curve[-1] < curve[0]
    assert len(read_table(folder / "oracle_grid.csv")) == count
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert [verdicts[family]["pays"] for family in Family] == [True, False]
    saved = verdicts["adam"]["ablation"]["saves"]
    assert saved["probe"][0] == pytest.approx(0.1)
    assert saved["online"][0] == pytest.approx(0.0)
    residual = folder / RESIDUAL_FILES[Family.ADAM]
    assert Residual.read(residual).ranges.keys() == {"sigma", "horizon"}
    digest = hashlib.sha256(residual.read_bytes()).hexdigest()
    assert content["residuals"] == {"adam": digest}
    assert not (folder / RESIDUAL_FILES[Family.SGD_MOMENTUM]).exists()
    assert not list((folder.parent / "package").iterdir())


@pytest.fixture
def hasty(monkeypatch):
    """What residuals gain does not matter."""
    monkeypatch.setattr(learn, "GENERATIONS", 2)


def cells_file(folder):
    (file,) = folder.glob("cells-*.jsonl")
    return file


@pytest.mark.parametrize("log", ["cells-*", "refine-adam-*", "try_laws-sgd-*", "ablate-adam-*"])
def test_meta_training_goes_on_to_the_same_end(train, hasty, log) -> None:
    def results():
        files = [*folder.glob("*.json"), *folder.glob("*.csv"), *folder.glob("*.safetensors")]
        assert len(files) == 4
        return {file.name: file.read_bytes() for file in files}

    *_, folder = train()
    whole = results()
    (file,) = folder.glob(f"{log}.jsonl")
    text = file.read_text()
    file.write_text(text[: len(text) // 2])  # killed while it wrote
    for name in whole:
        (folder / name).unlink()
    train()
    assert results() == whole


def test_a_residual_around_another_law_than_the_refined_one_is_not_kept(
    train, hasty, monkeypatch
) -> None:
    def gaining(task, surface, family, law, seed):
        return Regret(0.5 - law.weight_decay, seconds=2.0)

    for module in (refine, trial_of_laws):
        monkeypatch.setattr(module, "run_regret", gaining)
    *_, folder = train()
    content = json.loads((folder / "prior.json").read_text())
    assert content["record"]["fits"]["adam"]["refined"]["pays"]
    assert content["residuals"] == {}
    assert not list(folder.glob("*.safetensors"))


def test_a_run_that_was_written_twice_counts_once(train) -> None:
    stages, *_, folder = train()
    cells = cells_file(folder)
    lines = cells.read_text().splitlines()
    half = lines[: len(lines) // 2]
    cells.write_text("".join(f"{line}\n" for line in half * 2))
    (stage,), *_ = train(limit_seconds=0.0)
    assert (stage.finished_runs, stage.is_complete) == (len(half), False)
    assert stage.planned_runs == stages[0].planned_runs


def test_another_seed_in_the_same_folder_uses_no_run_of_the_first(train, hasty) -> None:
    *_, folder = train(seed=1)
    alone = (folder / "prior.json").read_bytes()
    shutil.rmtree(folder)
    train(seed=0)
    first = {outcome.cell for outcome in grid.read(cells_file(folder))}
    train(seed=1)
    assert (folder / "prior.json").read_bytes() == alone
    both = {outcome.cell.seed for outcome in grid.read(cells_file(folder))}
    assert ({cell.seed for cell in first}, both) == ({0, 1}, {0, 1, 2, 3})


def test_what_is_shipped_is_all_that_was_found(train) -> None:
    *_, folder = train(is_shipped=True)
    package = folder.parent / "package"
    names = {"prior.json", "verdicts.json", "oracle_grid.csv", RESIDUAL_FILES[Family.ADAM]}
    assert {file.name for file in package.iterdir()} == names
    for name in names:
        assert (package / name).read_bytes() == (folder / name).read_bytes()


def test_what_is_not_complete_is_not_shipped(train, hasty, monkeypatch) -> None:
    *_, folder = train()
    monkeypatch.setattr(stages_module, "_FRESH_SEEDS", 4)
    train(limit_seconds=0.0, is_shipped=True)
    assert not list((folder.parent / "package").iterdir())


def test_what_is_not_complete_is_not_told_of(train, hasty, monkeypatch) -> None:
    stages, *_ = train()
    assert all(stage.is_complete for stage in stages)
    monkeypatch.setattr(stages_module, "_FRESH_SEEDS", 4)
    left, _, folder = train(limit_seconds=0.0)
    assert {stage.name for stage in left if not stage.is_complete} == {
        f"{name} {family}" for name in ("trial of laws", "ablation") for family in Family
    }
    record = json.loads((folder / "prior.json").read_text())["record"]
    verdicts = json.loads((folder / "verdicts.json").read_text())
    for family in Family:
        assert "refined" not in record["fits"][family]
        assert verdicts[family]["ablation"]["saves"] == {}
        assert record["seconds_of"][f"refining {family}"] > 0  # paid all the same
    assert record["unfinished"] == [stage.name for stage in left if not stage.is_complete]


def test_what_was_found_is_tried_beside_another_training(train, hasty) -> None:
    *_, folder = train()
    found = laws_of(folder / "prior.json")
    adam, sgd = Family.ADAM, Family.SGD_MOMENTUM
    other = {adam: found[adam], sgd: found[sgd]._replace(weight_decay=0.1)}
    stages, said, _ = train(others=other)
    assert [stage.name for stage in stages if "beside" in stage.name] == [
        "trial beside adam",
        "trial beside sgd-momentum",
    ]
    assert "adam: the other training has found the same law" in said
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert verdicts[adam]["beside"] == {"law": found[adam]._asdict(), "saves": [0.0, 0.0, 0.0]}
    saved = pytest.approx(found[sgd].weight_decay - 0.1, abs=1e-4)
    assert verdicts[sgd]["beside"]["saves"] == [saved] * 3
    seconds = json.loads((folder / "prior.json").read_text())["record"]["seconds_of"]
    assert seconds[f"trial beside {sgd}"] == 2.0 * len(SHORT) * 2 * 3


def test_a_trial_beside_another_training_that_is_not_complete_says_nothing(
    train, hasty, monkeypatch
) -> None:
    *_, folder = train()
    other = {family: Prior(1e-3, 0.0, 0.1, 0.01) for family in Family}
    stages, *_ = train(limit_seconds=0.0, others=other, is_shipped=True)
    assert [stage.name for stage in stages if not stage.is_complete] == [
        f"trial beside {family}" for family in Family
    ]
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert [verdicts[family]["beside"]["saves"] for family in Family] == [None, None]
    assert not list((folder.parent / "package").iterdir())


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"families": {"adam": {"rate": 1}}}'])
def test_what_is_no_training_cannot_be_compared_with(tmp_path, text) -> None:
    (tmp_path / "prior.json").write_text(text)
    done = tune_metalr("meta-train", tmp_path / "out", "--beside", tmp_path / "prior.json")
    assert done.returncode == 2
    assert "prior.json is not the prior.json of a training" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_package_that_cannot_be_written_is_told_before_anything_is_run(train, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot be written: leave out --ship"):
        train(is_shipped=True)


def test_a_part_of_the_grid_writes_no_result(train) -> None:
    (stage,), said, folder = train(limit_seconds=0.0)
    assert not stage.is_complete
    assert said == [f"0 of {stage.planned_runs} runs of the grid are finished"]
    assert [*folder.iterdir()] == [cells_file(folder)]


def test_runs_of_other_code_are_left_alone(train, hasty, monkeypatch) -> None:
    monkeypatch.setattr(session, "code_digest", lambda *functions: "old")
    (stage, *_), _, folder = train()
    old = (folder / "cells-old.jsonl").read_bytes()
    monkeypatch.setattr(session, "code_digest", lambda *functions: "new")
    (again,), said, _ = train(limit_seconds=0.0)
    assert (stage.is_complete, again.finished_runs) == (True, 0)
    assert said[0] == "1 file of runs that other code has made is left alone"
    assert (folder / "cells-old.jsonl").read_bytes() == old


def test_a_grid_of_one_seed_is_half_as_long_and_says_so(train, hasty) -> None:
    (two_seeds,), *_ = train(limit_seconds=0.0)
    (one_seed, *_), _, folder = train(grid_seeds=1)
    assert one_seed.planned_runs == two_seeds.planned_runs / 2
    assert json.loads((folder / "prior.json").read_text())["record"]["seeds"] == [0]


def test_another_seed_has_runs_of_its_own() -> None:
    cells = [{cell for _, cell in planned(SHORT[:1], seeds)} for seeds in ((0, 1), (2, 3))]
    assert not cells[0] & cells[1]
    assert all(isinstance(cell, Cell) for cell in cells[0])


def test_the_command_says_how_to_go_on(tmp_path) -> None:
    done = tune_metalr("meta-train", tmp_path / "out", "--hours", "0", "--seed", "3")
    assert done.returncode == 0
    assert "0 of " in done.stdout
    told = f"meta-train {tmp_path / 'out'} --processes 2 --seed 3 --grid-seeds 2"
    assert done.stdout.rstrip().endswith(told)  # without the hours that have left nothing to do


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path) -> None:
    (tmp_path / "out").write_text("a file")
    done = tune_metalr("meta-train", tmp_path / "out")
    assert done.returncode == 2
    assert "out is a file: name a folder" in done.stderr


def test_without_cmaes_the_command_says_what_to_install(tmp_path, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith(session.__package__)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(UserError, match=r"needs the package cmaes: pip install .*meta-training"):
        cli_meta.meta_train(tmp_path / "out")
    assert not (tmp_path / "out").exists()
