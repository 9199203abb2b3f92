"""Data: decoded once, never changed, split the same way for everybody."""

import dataclasses
import hashlib
import io
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tests.conftest import REPOSITORY
from tune_metalr.errors import UserError
from tune_metalr.workloads import WORKLOADS, Family, Origin, Source, cache
from tune_metalr.workloads.cache import make_ready, open_arrays, prepare
from tune_metalr.workloads.images import ImageExamples
from tune_metalr.workloads.models import SmallCNN, SmallResNet
from tune_metalr.workloads.places import DataPlaces, data_places, places_here
from tune_metalr.workloads.task import Task

TOY = Source(
    name="toy", family=Family.IMAGES, origin=Origin.HUB, location="nobody/toy",
    input_column="image", label_column="label", num_classes=2,
)  # fmt: skip


def write_toy(
    folder, *, labels=(0, 1, 1), columns=("image", "label"), sizes=(4, 4, 4), split="train"
):
    rows = []
    for number, size in enumerate(sizes):
        buffer = io.BytesIO()
        Image.fromarray(np.full((size, size), 10 * number, np.uint8)).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    (folder / "toy").mkdir(parents=True, exist_ok=True)
    for name in (split, "test"):
        table = pa.table(dict(zip(columns, (rows, list(labels)), strict=True)))
        pq.write_table(table, folder / "toy" / f"{name}-00000-of-00001.parquet")


def test_the_digits_are_split_and_normalised(places):
    arrays = open_arrays(prepare(WORKLOADS["digits-cnn"].source, places).folder)
    assert arrays["train_inputs"].shape == (1497, 8, 8, 1)
    assert arrays["test_inputs"].shape == (300, 8, 8, 1)
    assert arrays["train_inputs"].dtype == np.uint8
    assert set(arrays["train_labels"]) == set(range(10))
    pixels = ImageExamples(arrays).inputs("train", np.arange(1497))
    assert pixels.shape == (1497, 1, 8, 8)
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-4)
    assert float(pixels.std()) == pytest.approx(1, abs=1e-3)


def test_real_images_come_through_the_hubs_layout(mirror, places):
    arrays = open_arrays(
        prepare(WORKLOADS["mnist-cnn"].source, places._replace(data_dir=mirror)).folder
    )
    assert arrays["train_inputs"].shape == (60_000, 28, 28, 1)
    assert arrays["test_inputs"].shape == (10_000, 28, 28, 1)
    # The published mean and deviation of MNIST's training pixels: 0.1307 and 0.3081.
    assert float(arrays["channel_mean"][0] / 255) == pytest.approx(0.1307, abs=5e-5)
    assert float(arrays["channel_std"][0] / 255) == pytest.approx(0.3081, abs=5e-5)


def test_data_are_decoded_once(tmp_path, monkeypatch):
    write_toy(tmp_path / "data")
    places = DataPlaces(tmp_path / "cache", tmp_path / "data")
    places.cache.mkdir()
    first = prepare(TOY, places)
    monkeypatch.setattr(cache, "_DECODERS", {})  # a second decoding would fail
    assert prepare(TOY, places) == first
    assert first.train_examples == 3


def test_the_version_names_the_content(tmp_path):
    versions = set()
    for number, labels in enumerate([(0, 1, 1), (0, 1, 1), (1, 1, 1)]):
        folder = tmp_path / str(number)
        write_toy(folder / "data", labels=labels)
        (folder / "cache").mkdir()
        versions.add(prepare(TOY, DataPlaces(folder / "cache", folder / "data")).version)
    assert len(versions) == 2


def test_changed_data_are_decoded_again(tmp_path):
    places = DataPlaces(tmp_path, tmp_path / "data")
    write_toy(tmp_path / "data")
    first = prepare(TOY, places)
    write_toy(tmp_path / "data", labels=(1, 1, 1))
    assert prepare(TOY, places).version != first.version


def test_a_complete_folder_is_kept_when_the_same_content_comes_again(tmp_path):
    places = DataPlaces(tmp_path, tmp_path / "data")
    write_toy(tmp_path / "data")
    first = prepare(TOY, places)
    inode = first.folder.stat().st_ino
    for path in (tmp_path / "data" / "toy").iterdir():
        path.rename(path.with_name(path.name.replace("00000-of-00001", "other")))
    assert prepare(TOY, places) == first
    assert first.folder.stat().st_ino == inode
    assert not [path for path in tmp_path.iterdir() if "@" in path.name]


def test_a_torn_file_and_a_broken_image_are_named(tmp_path):
    write_toy(tmp_path / "data")
    path = tmp_path / "data" / "toy" / "train-00000-of-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(UserError, match="cannot read the data in"):
        prepare(TOY, DataPlaces(tmp_path, tmp_path / "data"))
    rows = [{"bytes": b"no image", "path": None}] * 3
    pq.write_table(pa.table({"image": rows, "label": [0, 1, 1]}), path)
    with pytest.raises(UserError, match="row 0 of column 'image' of 'toy' is no image"):
        prepare(TOY, DataPlaces(tmp_path, tmp_path / "data"))


def test_half_deleted_data_are_decoded_again(tmp_path):
    places = DataPlaces(tmp_path, tmp_path / "data")
    write_toy(tmp_path / "data")
    first = prepare(TOY, places)
    (first.folder / "train_labels.npy").unlink()
    assert prepare(TOY, places) == first
    assert len(open_arrays(first.folder)) == 6


MISTAKES = {
    "no folder": ({}, "no data for 'toy'"),
    "a missing column": ({"columns": ("picture", "label")}, "has no column 'image'; it has picture, label"),
    "a label outside the classes": ({"labels": (0, 1, 2)}, "has a label 2; its 2 classes are 0 to 1"),
    "a negative label": ({"labels": (0, -1, 1)}, "has a label -1"),
    "a missing split": ({"split": "validation"}, "has no split 'train'"),
    "images of two sizes": ({"sizes": (4, 5, 4)}, "differ in shape"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "line"), MISTAKES.values(), ids=MISTAKES)
def test_wrong_data_are_named_in_one_line(tmp_path, changes, line):
    if changes:
        write_toy(tmp_path / "data", **changes)
    with pytest.raises(UserError, match=line):
        prepare(TOY, DataPlaces(tmp_path, tmp_path / "data"))


def test_without_a_network_the_way_out_is_named(tmp_path):
    with pytest.raises(UserError, match="point --data-dir or TUNE_METALR_DATA at a local mirror"):
        prepare(TOY, DataPlaces(tmp_path, None))


def test_a_home_that_cannot_be_written_to_is_replaced(tmp_path, monkeypatch):
    monkeypatch.delenv("TUNE_METALR_CACHE")
    home = tmp_path / "home"
    home.write_text("a file, so that no folder can be made in it")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    places = data_places(None, fallback=tmp_path / "fallback", folders={})
    assert places.cache == tmp_path / "fallback"
    monkeypatch.setenv("TUNE_METALR_CACHE", str(home))
    with pytest.raises(UserError, match="set TUNE_METALR_CACHE"):
        data_places(None, fallback=tmp_path / "fallback", folders={})


def rows_of(task):
    return task._train_rows, task._validation_rows


def test_validation_is_the_same_for_every_seed_and_apart_from_training(make_trial, places):
    splits = [
        rows_of(Task(make_trial(seed=seed, train_examples=None), places)) for seed in range(3)
    ]
    for train, validation in splits:
        assert np.array_equal(validation, splits[0][1])
        assert len(validation) == 300
        assert len(train) == 1197
        assert not set(train) & set(validation)


def test_a_subset_is_drawn_by_seed_for_all_methods_alike(make_trial, places):
    def subset(**changes):
        return rows_of(Task(make_trial(**changes), places))[0].tolist()

    assert subset(seed=1) == subset(seed=1, optimizer="adam", hyperparameters={"lr": 1.0})
    assert subset(seed=1) != subset(seed=2)
    assert len(set(subset())) == 256


def labels_of(batches):
    return [batch.labels.tolist() for batch in batches]


def test_batches_depend_on_workload_seed_and_epoch_alone(make_trial, places):
    one, other = (Task(make_trial(**c), places) for c in ({}, {"optimizer": "adam", "epochs": 9}))
    assert labels_of(one.train_batches(0)) == labels_of(other.train_batches(0))
    assert labels_of(one.train_batches(0)) != labels_of(one.train_batches(1))
    assert sum(map(len, labels_of(one.train_batches(0)))) == one.sizes.train == 256
    assert one.steps_per_epoch == 4


def test_initial_weights_depend_on_workload_and_seed_alone(make_trial, places):
    def weights(**changes):
        torch.manual_seed(99)
        model = Task(make_trial(**changes), places).build_model()
        return torch.cat([weight.reshape(-1) for weight in model.parameters()])

    assert torch.equal(weights(), weights(optimizer="adam", train_examples=10))
    assert not torch.equal(weights(), weights(seed=1))


def test_changing_a_batch_in_place_does_not_reach_the_data(make_trial, places):
    prepared = prepare(WORKLOADS["digits-cnn"].source, places)

    def checksum():
        return [hashlib.sha256(p.read_bytes()).hexdigest() for p in prepared.folder.iterdir()]

    before = checksum()
    task = Task(make_trial(), places)
    for batch in [*task.train_batches(0), *task.curve_batches(), *task.test_batches()]:
        batch.inputs.zero_()
        batch.labels.zero_()
    assert checksum() == before
    assert any(batch.labels.any() for batch in task.train_batches(0))


def test_other_data_than_planned_are_refused(make_trial, places):
    with pytest.raises(UserError, match="planned on other"):
        Task(make_trial(data_version="other"), places)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_trains_on_a_batch_of_its_own(make_trial, places, mirror, name):
    ready = make_ready(WORKLOADS[name], places._replace(data_dir=mirror))
    trial = make_trial(
        workload=name,
        workload_settings=ready.workload.settings(),
        data_version=ready.data_version,
        train_examples=8,
        batch_size=4,
    )
    task = Task(trial, places._replace(data_dir=mirror))
    batch = next(iter(task.train_batches(0)))
    outputs = task.build_model()(batch.inputs)
    assert outputs.shape == (4, 1 if task.num_classes == 2 else task.num_classes)
    assert task.loss(outputs, batch.labels) < 2 * math.log(task.num_classes)


def test_a_model_that_is_none_is_refused(make_trial, places):
    settings = {**make_trial().workload_settings, "model": "mlp"}
    with pytest.raises(UserError, match="no model 'mlp' for images; known: cnn, resnet"):
        Task(make_trial(workload_settings=settings), places).build_model()


def test_bundled_data_that_are_none_are_refused(places):
    wine = dataclasses.replace(WORKLOADS["digits-cnn"].source, name="wine")
    with pytest.raises(UserError, match="no bundled data set 'wine'"):
        prepare(wine, places)


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32)])
def test_the_network_fits_its_images(channels, side):
    model = SmallCNN(channels=channels, height=side, width=side, num_classes=10)
    assert model(torch.zeros(2, channels, side, side)).shape == (2, 10)


def test_the_residual_network_is_small():
    model = SmallResNet(channels=3, num_classes=10)
    assert sum(weight.numel() for weight in model.parameters()) == 175_258
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_the_largest_network_is_as_large_as_the_readme_says():
    model = SmallCNN(channels=3, height=32, width=32, num_classes=10)
    count = sum(weight.numel() for weight in model.parameters())
    assert count == 315_722
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert f"largest model has {round(count, -3):,} parameters" in readme


def test_pooling_before_relu_is_the_same_function():
    features = torch.randn(2, 3, 8, 8)
    pool = torch.nn.functional.max_pool2d
    assert torch.equal(torch.relu(pool(features, 2)), pool(torch.relu(features), 2))


def test_a_nodes_own_folders_come_first_for_the_cache_and_where_the_drivers_data_are_not(
    tmp_path, monkeypatch
):
    driver = DataPlaces(tmp_path / "alice" / ".cache", tmp_path / "alice" / "data")
    own = tmp_path / "fast"
    monkeypatch.setenv("TUNE_METALR_CACHE", str(own))
    monkeypatch.setenv("TUNE_METALR_DATA", str(tmp_path / "mirror"))
    assert places_here(driver) == DataPlaces(own, tmp_path / "mirror")
    (tmp_path / "alice" / "data").mkdir(parents=True)
    assert places_here(driver) == DataPlaces(own, tmp_path / "alice" / "data")


def test_no_folder_of_the_driver_is_made_on_a_node(tmp_path, monkeypatch):
    monkeypatch.delenv("TUNE_METALR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    driver = DataPlaces(tmp_path / "alice" / ".cache")
    assert places_here(driver).cache == tmp_path / "mine" / "tune-metalr"
    assert not (tmp_path / "alice").exists()
    driver.cache.mkdir(parents=True)
    assert places_here(driver) == driver
