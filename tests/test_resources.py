"""What a trial takes of a node: said in the study, kept in its identity, and refused in seconds."""

import time

import numpy as np
import pytest
import torch

from tests.conftest import SMALL_STUDY, expanded, tune_metalr
from tune_metalr.errors import UserError
from tune_metalr.study_file import load_study
from tune_metalr.workloads.images import ImageExamples
from tune_metalr.workloads.resident import ResidentImages, ResidentText
from tune_metalr.workloads.task import Task
from tune_metalr.workloads.text import TextExamples

CPU = torch.device("cpu")


def with_resources(text: str) -> str:
    return f"{SMALL_STUDY}resources: {text}\n"


def test_a_trial_takes_what_the_study_says(write_study):
    def need(text):
        return load_study(write_study(text)).study.need

    assert need(SMALL_STUDY) == {"CPU": 1}
    assert need(f"{SMALL_STUDY}threads_per_trial: 2\n") == {"CPU": 2}
    given = with_resources("{cpus: 0.5, gpus: 0.25, custom: {fast-disk: 1}}")
    assert need(given) == {"CPU": 0.5, "GPU": 0.25, "fast-disk": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{gpus: 2}", "a trial trains on one GPU"),
        ("{cpus: 0}", "greater than 0"),
        ("{custom: {GPU: 1}}", "'GPU' is Ray's own name"),
        ("{tpus: 1}", "tpus"),
    ],
)
def test_wrong_resources_are_told(write_study, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load_study(write_study(with_resources(text)))
    assert "resources" in str(caught.value)


def test_only_a_gpu_makes_it_another_trial(write_study):
    plain = [item.trial.trial_id for item in expanded(write_study(SMALL_STUDY))]
    shared = expanded(write_study(with_resources("{cpus: 0.5, custom: {fast-disk: 1}}")))
    assert [item.trial.trial_id for item in shared] == plain
    on_gpu = expanded(write_study(with_resources("{gpus: 0.5}")))
    assert not {item.trial.trial_id for item in on_gpu} & set(plain)
    assert {item.trial.device for item in on_gpu} == {"cuda"}


def test_a_trial_that_no_node_can_hold_is_reported_in_seconds(write_study, tmp_path):
    start = time.monotonic()
    path = write_study(with_resources("{custom: {fast-disk: 1}}"))
    result = tune_metalr("run", path, "--results", tmp_path, "--cpus", "1")
    assert result.returncode == 2
    assert result.stderr == (
        "tune-metalr: no node can hold a trial, which needs 1 CPU, 1 fast-disk; the largest has "
        "1 CPU, 0 fast-disk: let the study ask for less, or add such a node and run the same "
        "command again\n"
    )
    assert time.monotonic() - start < 60


def test_a_trial_for_a_gpu_says_where_torch_sees_none(make_trial, places):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="torch sees none on this node"):
        Task(make_trial(device="cuda"), places)


def test_images_on_a_device_are_those_of_the_mapped_arrays():
    generator = np.random.default_rng(0)
    arrays = {
        f"{split}_inputs": generator.integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
        for split in ("train", "test")
    } | {"channel_mean": np.array([100.0, 90, 80]), "channel_std": np.array([50.0, 60, 70])}
    mapped = ImageExamples(arrays)
    resident = ResidentImages(mapped, CPU)
    rows = generator.permutation(20)[:7]
    for split in ("train", "test"):
        batch = resident.inputs(split, rows)
        assert torch.equal(batch, mapped.inputs(split, rows))
        assert batch.stride() == mapped.inputs(split, rows).stride()
        batch.zero_()
        assert torch.equal(resident.inputs(split, rows), mapped.inputs(split, rows))


@pytest.mark.parametrize("max_tokens", [None, 4])
def test_texts_on_a_device_are_those_of_the_mapped_arrays(max_tokens):
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 9, 30)
    arrays = {}
    for split in ("train", "test"):
        arrays[f"{split}_tokens"] = generator.integers(1, 60_000, lengths.sum()).astype(np.uint16)
        arrays[f"{split}_offsets"] = np.concatenate([[0], np.cumsum(lengths)])
    mapped = TextExamples(arrays, max_tokens)
    resident = ResidentText(mapped, CPU)
    for rows in (np.arange(30), np.array([29]), generator.permutation(30)[:8]):
        for ours, theirs in zip(
            resident.inputs("train", rows), mapped.inputs("train", rows), strict=True
        ):
            assert torch.equal(ours, theirs)
            assert ours.dtype == theirs.dtype
