"""The suite of tasks: what each is, how they differ, and that they can be learned."""

import itertools

import pytest
import torch

from tune_metalr.metalr.meta_training import variation
from tune_metalr.metalr.meta_training.objectives import VALUES
from tune_metalr.metalr.meta_training.run import Setting, train
from tune_metalr.metalr.meta_training.task import initial_network, split_of, train_batches
from tune_metalr.metalr.meta_training.tasks import FAMILIES, TASKS, TASKS_OF_A_FAMILY
from tune_metalr.metalr.meta_training.variation import variations
from tune_metalr.metalr.prior import Family

FIRST = {task.family: task for task in reversed(TASKS)}
GOOD = Setting(rate=8e-3, warmup_fraction=0.25, weight_decay=0.1)


def test_no_named_workload_is_in_the_suite() -> None:
    assert set(FAMILIES) == {
        "digits", "textures", "keywords", "recall", "teacher", "regression",
    }  # fmt: skip
    names = [task.name for task in TASKS]
    assert len(set(names)) == len(names) == TASKS_OF_A_FAMILY * len(FAMILIES)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_is_within_the_ranges_of_the_suite(task) -> None:
    is_last = task.name.endswith(f"-{TASKS_OF_A_FAMILY - 1}")
    least, most = variation.LONG_STEPS if is_last else variation.STEPS
    assert least <= task.steps <= most
    assert variation.BATCH_SIZES[0] <= task.batch_size <= variation.BATCH_SIZES[1]
    assert variation.INITIAL_SCALES[0] <= task.initial_scale <= variation.INITIAL_SCALES[1]
    assert variation.LOSS_SCALES[0] <= task.loss_scale <= variation.LOSS_SCALES[1]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_task_is_the_same_for_the_same_seed(name) -> None:
    task = FIRST[name]
    split, again = split_of(task), split_of(task)
    assert torch.equal(split.train.inputs, again.train.inputs)
    assert torch.equal(split.validation.targets, again.validation.targets)
    first, same, other = (next(initial_network(task, seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    orders = [next(train_batches(task, again.train, seed)).targets for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


@pytest.mark.parametrize("name", FAMILIES)
def test_no_example_is_trained_on_and_scored_with(name) -> None:
    split = split_of(FIRST[name])
    lowest, highest = variation.TRAIN_EXAMPLES
    assert lowest <= len(split.train.targets) <= highest
    if name == "digits":
        return  # seen again, with noise of their own: the originals are apart
    trained = {row.numpy().tobytes() for row in split.train.inputs}
    scored = [row.numpy().tobytes() for row in split.validation.inputs]
    assert sum(row in trained for row in scored) <= 0.02 * len(scored)


def test_each_epoch_has_every_example_once() -> None:
    task = FIRST["teacher"]
    split = split_of(task)
    numbered = split.train._replace(targets=torch.arange(len(split.train.targets)))
    batches = train_batches(task, numbered, 0)
    for _ in range(2):
        seen: list[int] = []
        while len(seen) < len(numbered.targets):
            seen += next(batches).targets.tolist()
        assert sorted(seen) == list(range(len(numbered.targets)))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "keywords"])
def test_a_task_is_learned_in_seconds(name) -> None:
    task = FIRST[name]._replace(steps=120, initial_scale=1.0)
    found = train(task, split_of(task), Family.ADAM, setting=GOOD, seed=0)
    assert found.score > task.chance + 0.15
    assert not found.diverged


def test_texts_stay_at_chance_for_a_while() -> None:
    task = FIRST["keywords"]._replace(steps=25)
    found = train(task, split_of(task), Family.ADAM, setting=GOOD, seed=0)
    assert found.score < task.chance + 0.1


def test_variations_cover_their_ranges() -> None:
    drawn = list(variations("any", 8, example_seconds=(1e-9, 1e-9)))
    sizes = sorted(one.size for one in drawn)
    assert all(number / 8 <= size <= (number + 1) / 8 for number, size in enumerate(sizes))
    batches = sorted(one.batch_size for one in drawn[:-1])
    assert batches[0] < 32 < 128 < batches[-1]
    assert [one.name for one in drawn] == [f"any-{number}" for number in range(8)]
    assert drawn == list(variations("any", 8, example_seconds=(1e-9, 1e-9)))
    assert not any(a == b for a, b in itertools.combinations(drawn, 2))


def test_explained_variance_is_the_score_of_values() -> None:
    values = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    assert VALUES.score(values, values) == 1
    assert VALUES.score(values.mean().expand(4, 1), values) == 0
    assert VALUES.score(10 * values, values) == 0
