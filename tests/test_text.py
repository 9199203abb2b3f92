"""Texts: the vocabulary of the training split, the last real token, batches of like length."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tune_metalr.errors import UserError
from tune_metalr.trial import Trial
from tune_metalr.workloads import WORKLOADS, Family, Origin, Source
from tune_metalr.workloads.cache import DataPlaces, open_arrays, prepare
from tune_metalr.workloads.models import TextLSTM
from tune_metalr.workloads.task import Task
from tune_metalr.workloads.text import UNKNOWN, TextExamples, words

TOY = Source(
    name="toy", family=Family.TEXT, origin=Origin.HUB, location="nobody/toy",
    input_column="text", label_column="label", num_classes=2,
)  # fmt: skip
TRAIN = ["good good film", "bad film", "", "Good, it's <br />BAD!"]


@pytest.fixture
def arrays(tmp_path):
    write_toy(tmp_path, TRAIN)
    return open_arrays(prepare(TOY, DataPlaces(tmp_path, tmp_path / "data")).folder)


def write_toy(folder, train, test=("good unseen film",)):
    (folder / "data" / "toy").mkdir(parents=True)
    for name, texts in (("train", train), ("test", test)):
        table = pa.table({"text": list(texts), "label": [i % 2 for i in range(len(texts))]})
        pq.write_table(table, folder / "data" / "toy" / f"{name}-00000-of-00001.parquet")


def test_words_are_lower_case_without_markup():
    assert words("It's <br />GOOD, 10/10!") == ["it's", "good", "10", "10"]


def test_frequent_words_come_first_and_unseen_ones_are_unknown(arrays):
    # By frequency, then alphabet: good 3, bad 2, film 2, it's 1.
    good, bad, film, its = 2, 3, 4, 5
    assert arrays["train_tokens"].tolist() == [good, good, film, bad, film, UNKNOWN, good, its, bad]
    assert arrays["train_offsets"].tolist() == [0, 3, 5, 6, 9]
    assert arrays["test_tokens"].tolist() == [good, UNKNOWN, film]
    assert arrays["train_tokens"].dtype == np.uint16


def test_a_batch_is_padded_behind_and_cut_from_the_front(arrays):
    tokens, lengths = TextExamples(arrays, None).inputs("train", np.array([0, 1]))
    assert tokens.tolist() == [[2, 2, 4], [3, 4, 0]]
    assert lengths.tolist() == [3, 2]
    tokens, lengths = TextExamples(arrays, 2).inputs("train", np.array([0, 1]))
    assert tokens.tolist() == [[2, 4], [3, 4]]
    assert lengths.tolist() == [2, 2]


def test_what_is_no_text_is_named(tmp_path):
    write_toy(tmp_path, [None, "text"])
    with pytest.raises(UserError, match="column 'text' of 'toy' holds NoneType"):
        prepare(TOY, DataPlaces(tmp_path, tmp_path / "data"))


def test_the_last_real_token_decides_whatever_the_padding():
    torch.manual_seed(0)
    model = TextLSTM(vocabulary_size=20, outputs=1)
    tokens = torch.randint(2, 20, (1, 5))
    alone = model((tokens, torch.tensor([5])))
    padded = torch.cat([tokens, torch.zeros(1, 7, dtype=torch.int64)], dim=1)
    assert torch.allclose(model((padded, torch.tensor([5]))), alone, atol=1e-6)
    other = torch.randint(2, 20, (1, 12))
    both = model((torch.cat([padded, other]), torch.tensor([5, 12])))
    assert torch.allclose(both[:1], alone, atol=1e-6)


def lengths_and_rows(batches, lengths):
    rows = [batch.tolist() for batch in batches]
    return [[lengths[row] for row in batch] for batch in rows], sorted(
        row for batch in rows for row in batch
    )


def test_batches_hold_every_row_once_and_like_lengths():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 500, 10_000)
    arrays = {
        f"{split}_{name}": value
        for split in ("train", "test")
        for name, value in {
            "tokens": np.zeros(lengths.sum(), np.uint16),
            "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        }.items()
    }
    examples = TextExamples(arrays, None)
    order = rng.permutation(10_000)
    batches = list(examples.train_batches(order, 64, np.random.default_rng(1)))
    sizes, rows = lengths_and_rows(batches, lengths)
    assert rows == list(range(10_000))
    assert len(batches) == -(-10_000 // 64)
    padded = sum(max(batch) * len(batch) for batch in sizes)
    assert padded < 1.05 * lengths.sum()
    # Neither short nor long batches come first.
    means = [np.mean(batch) for batch in sizes]
    assert abs(np.corrcoef(range(len(means)), means)[0, 1]) < 0.3
    again = examples.train_batches(order, 64, np.random.default_rng(1))
    assert [batch.tolist() for batch in again] == [batch.tolist() for batch in batches]


def test_real_sentences_become_a_task(mirror, places):
    workload = WORKLOADS["sst2-lstm"]
    here = places._replace(data_dir=mirror)
    prepared = prepare(workload.source, here)
    trial = Trial(
        workload=workload.name, workload_settings=workload.settings(),
        data_version=prepared.version, optimizer="adam", schedule="constant", controller="fixed",
        hyperparameters={"lr": 1e-3}, method_revision="1-1-1", seed=0, epochs=1, batch_size=64,
        train_examples=None, precision="float32", threads=1,
    )  # fmt: skip
    task = Task(trial, here)
    # Test is the public validation split of 872; as many are carved from training.
    assert task.sizes == (6_920 - 872, 872, 872)
    batch = next(task.train_batches(0))
    outputs = task.build_model()(batch.inputs)
    assert outputs.shape == (64, 1)
    assert float(task.loss(outputs, batch.labels).detach()) == pytest.approx(np.log(2), abs=0.05)
    assert 0 <= task.num_correct(outputs, batch.labels) <= 64
