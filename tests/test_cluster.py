"""Studies on three real raylets: nodes die and join, and the numbers are those of one machine."""

import io
import random
import re
import textwrap
import time

import pytest
import torch
from ray.experimental import internal_kv

from analysis.load import load_trials
from tests.cluster_runs import NUM_TRIALS, STUDY, ClusterRun, check, on_one_node
from tests.clusters import RayCluster, busy_workers
from tests.conftest import REPOSITORY, tune_metalr
from tests.object_storage import BUCKET, object_storage
from tune_metalr.attempts import read_attempts
from tune_metalr.checkpoints import Checkpoints, files_of

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


LONGEST_DETECTION_SECONDS = 30.0
"""With the settings of `tests.clusters`: 3 s on an idle machine. Ray's own take 15 s and more."""

LONGEST_RESCHEDULING_SECONDS = 30.0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def alone(study, tmp_path_factory):
    found = on_one_node(study, tmp_path_factory.mktemp("alone"))
    assert len(found["trials"]) == NUM_TRIALS
    return found


@pytest.fixture
def rng():
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    return random.Random(seed)


def test_a_cluster_that_has_ended_is_asked_nothing_by_this_process():
    with RayCluster() as cluster:
        cluster.add_node()
    assert not internal_kv._internal_kv_initialized()


def test_a_node_that_dies_and_one_that_joins_change_no_number(study, alone, tmp_path, rng):
    with RayCluster() as cluster:
        doomed, _ = cluster.add_node(), cluster.add_node()
        run = ClusterRun(cluster, study, tmp_path)
        kill_a_node(run, cluster, doomed, rng)
        cluster.add_node()
        run.finish()
    check(run, alone)


def test_a_node_that_cannot_see_the_results_sends_them(study, alone, tmp_path, rng):
    results = tmp_path / "results"
    results.mkdir()
    with RayCluster() as cluster:
        doomed = cluster.add_blind_node(results)
        cluster.add_node()
        run = ClusterRun(cluster, study, results)
        kill_a_node(run, cluster, doomed, rng)
        cluster.add_blind_node(results)
        output = run.finish()
    assert f"cannot see {results / 'small'}: its results go through this one." in output
    assert output.count("cannot see") == 1
    check(run, alone)
    assert not list((results / "small" / "unfinished").iterdir())


def test_object_storage_that_fails_and_goes_away_loses_nothing(study, alone, tmp_path, rng):
    results = f"s3://{BUCKET}/studies"
    with object_storage() as service, RayCluster() as cluster:
        service.weather.failing_fraction = 0.05
        doomed, _ = cluster.add_node(), cluster.add_node()
        run = ClusterRun(cluster, study, results)
        kill_a_node(run, cluster, doomed, rng)
        cluster.add_node()
        service.weather.is_away = True
        time.sleep(20)
        service.weather.is_away = False
        output = run.finish()
        check(run, alone)
        assert service.weather.num_failed > 20
        check_that_no_key_is_told(service, cluster, output)


def test_keys_that_only_the_driver_has_suffice(tmp_path):
    """Its own node has none either: the writer there is given the driver's."""
    study = tmp_path / "short.yaml"
    study.write_text(LONG.replace("epochs: 400", "epochs: 2"))
    with RayCluster() as cluster:
        cluster.add_node(cpus=2)
        with object_storage() as service:
            run = ClusterRun(cluster, study, f"s3://{BUCKET}/studies")
            output = run.finish()
            assert run.num_ended() == 2
            assert f"cannot see s3://{BUCKET}/studies/small: its results go through" in output
            check_that_no_key_is_told(service, cluster, output)


def check_that_no_key_is_told(service, cluster, output) -> None:
    """Look for the keys of a storage in what a run printed, left there, and had Ray log."""
    everything = service.stored()
    logs = "".join(
        path.read_text(errors="replace")
        for kind in ("log", "out", "err")
        for path in cluster.folder.rglob(f"*.{kind}")
    )
    assert "studies/small/report/index.html" in everything
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        secret = service.environment()[name]
        assert secret not in output
        assert secret not in logs
        assert not [key for key, text in everything.items() if secret in text]


def kill_a_node(run, cluster, raylet, rng) -> None:
    """Kill a node at a random moment of a run, and see how soon its trial runs again."""
    run.wait_for(lambda: run.num_ended() >= 2)
    time.sleep(rng.uniform(0, 5))
    run.wait_for(lambda: is_caught_in_the_middle(run, cluster, raylet))
    killed = time.monotonic()
    workers = busy_workers(raylet)
    for process in (raylet, *workers):  # the power fails: none lives on to write its result
        process.kill()
    before = run.num_ended()
    assert before < NUM_TRIALS, "the study was over before the node died"
    run.wait_for(lambda: run.said("Lost: ") is not None)
    heard = run.said("Lost: ") or 0.0
    run.wait_for(lambda: is_tried_again(run))
    again = time.monotonic()
    print(f"killed after {before} trials; heard of after {heard - killed:.1f} s, ", end="")
    print(f"tried again after {again - killed:.1f} s")
    assert heard - killed < LONGEST_DETECTION_SECONDS
    assert again - heard < LONGEST_RESCHEDULING_SECONDS


def is_caught_in_the_middle(run, cluster, raylet) -> bool:
    """Return whether a node's trial is caught without a result; its worker is left frozen then.

    A trial whose row is written when its node dies is not lost, and nothing is told of it.
    """
    workers = cluster.busy_workers()
    for worker in workers:
        worker.suspend()
    begun = set(Checkpoints(run.ledger.unfinished).trial_ids()) - set(run.ledger.statuses())
    doomed = set(busy_workers(raylet))
    is_caught = bool(doomed) and len(begun) >= len(workers)
    for worker in workers - doomed if is_caught else workers:
        worker.resume()
    return is_caught


def is_tried_again(run) -> bool:
    """Return whether a second attempt at the trial that was lost has begun, or has ended."""
    line = next(line for _, line in run.lines if "Lost: " in line)
    trial_id = re.search(r"trial (\w+)\)", line)[1]
    attempts = read_attempts(run.ledger.unfinished, files_of(trial_id).attempts)
    if attempts and attempts.number > 1:
        return True
    # A node may die before the first attempt is on record: then the second counts as the first.
    return any(row["trial_id"] == trial_id for row in run.written.rows())


LONG = """\
name: small
workloads: [{name: digits-cnn, train_examples: 128}]
epochs: 400
seeds: 2
methods: {sgd: {optimizer: sgd, lr: 0.01}}
"""


def test_work_that_is_lost_with_its_node_is_charged_and_goes_on(tmp_path):
    """Nothing is trained twice but what came after the last checkpoint."""
    study = tmp_path / "long.yaml"
    study.write_text(LONG)
    with RayCluster() as cluster:
        doomed = cluster.add_node()
        run = ClusterRun(cluster, study, tmp_path, checkpoint_seconds=2)
        checkpoints = Checkpoints(run.ledger.unfinished)
        run.wait_for(lambda: any(name.endswith("checkpoint") for name in checkpoints.store.names()))
        doomed.kill()
        (trial_id,) = checkpoints.trial_ids()
        state = checkpoints.load(trial_id)
        cluster.add_node(cpus=2)
        output = run.finish()
    assert "Lost: its node was lost; again: sgd, seed" in output
    assert "lost: 1 node" in output
    trials = load_trials(tmp_path / "small")
    assert set(trials["status"]) == {"completed"}
    (again,) = trials[trials["attempts"] == 2].to_dict("records")
    assert again["trial_id"] == trial_id
    assert 0 < again["lost_seconds"] < 10
    assert again["epochs_done"] == len(again["epoch_seconds"]) == 400
    # The seconds of each epoch are unique: these epochs were not trained again.
    saved = torch.load(io.BytesIO(state), weights_only=True)["record"]["epoch_seconds"]
    assert list(again["epoch_seconds"][: len(saved)]) == saved


KILLER = """
    import os
    from tune_metalr import PythonWorkload
    import numpy as np, torch

    class Deadly(PythonWorkload):
        num_classes = 2
        target_accuracy = 0.9

        def load(self):
            inputs = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
            labels = (inputs[:, 0] > 0).astype(int)
            return {"train_inputs": inputs[:200], "train_labels": labels[:200],
                    "test_inputs": inputs[200:], "test_labels": labels[200:]}

        def build_model(self):
            return torch.nn.Linear(3, 2)

        def loss(self, outputs, labels):
            if outputs.abs().max() > 1e4:
                WAY
            return super().loss(outputs, labels)
"""
DEADLY = """\
name: small
workloads: [deadly.Deadly]
epochs: 3
seeds: 5
methods: {sgd: {optimizer: sgd, lr: [1e-2, 1e9]}}
"""


def run_deadly(tmp_path, monkeypatch, way: str, **system_config: object) -> str:
    (tmp_path / "deadly.py").write_text(textwrap.dedent(KILLER).replace("WAY", way))
    (tmp_path / "deadly.yaml").write_text(DEADLY)
    monkeypatch.chdir(tmp_path)
    with RayCluster(**system_config) as cluster:
        cluster.add_node(cpus=2)
        run = ClusterRun(cluster, "deadly.yaml", tmp_path, PYTHONPATH=str(REPOSITORY))
        run.process.wait(timeout=400)
        assert run.process.returncode == 1, run.output()  # failed trials are tried in the next run
        return run.output()


def test_a_trial_that_kills_its_worker_three_times_has_failed(tmp_path, monkeypatch):
    """And the study goes on, also after several of them."""
    output = run_deadly(tmp_path, monkeypatch, "os._exit(1)")
    trials = load_trials(tmp_path / "small").set_index("method")
    assert set(trials.loc["sgd-0.01", "status"]) == {"completed"}
    assert set(trials.loc["sgd-1e+09", "status"]) == {"failed"}
    assert set(trials.loc["sgd-1e+09", "attempts"]) == {3}
    assert trials.loc["sgd-1e+09", "error"].str.startswith("its worker was lost 3 times: ").all()
    assert output.count("Lost: its worker died; again: sgd-1e+09") == 10
    assert "lost: 15 workers" in output


def test_a_trial_for_which_memory_does_not_suffice_says_so(tmp_path, monkeypatch):
    """The node's monitor takes any use of memory for too much, once a trial trains."""
    study = tmp_path / "long.yaml"
    study.write_text(LONG.replace("seeds: 2", "seeds: 1").replace("epochs: 400", "epochs: 4000"))
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "200")
    with RayCluster() as cluster:
        cluster.add_node()
        run = ClusterRun(cluster, study, tmp_path)
        assert run.process.wait(timeout=300) == 1, run.output()
    (trial,) = load_trials(tmp_path / "small").to_dict("records")
    assert trial["status"] == "failed"
    assert trial["error"].startswith("its node ran out of memory 3 times: ")
    assert "lost: 3 to lack of memory" in run.output()


def test_a_cluster_that_cannot_hold_a_trial_is_told_in_seconds(study, tmp_path):
    big = tmp_path / "big.yaml"
    big.write_text(f"{study.read_text()}resources: {{cpus: 64, gpus: 0.5}}\n")
    with RayCluster() as cluster:
        cluster.add_node(cpus=3)
        run = ClusterRun(cluster, big, tmp_path)
        assert run.process.wait(timeout=100) == 2
        seconds = time.monotonic() - run.start
    assert "needs 64 CPU, 0.5 GPU; the largest has 3 CPU, 0 GPU" in run.output()
    print(f"told after {seconds:.0f} s")
    assert seconds < 60


def test_a_cluster_that_does_not_answer_is_told_in_seconds(study, tmp_path):
    options = ("--results", tmp_path, "--address", "127.0.0.1:1")
    result = tune_metalr("run", study, *options, timeout=60)
    assert result.returncode == 2
    assert result.stderr == (
        "tune-metalr: cannot reach a Ray cluster at 127.0.0.1:1: Connection refused; is its head "
        "running?\n"
    )


def test_the_same_command_goes_on_after_the_head_was_lost(study, alone, tmp_path, rng):
    with RayCluster() as cluster:
        cluster.add_node()
        run = ClusterRun(cluster, study, tmp_path)
        run.wait_for(lambda: run.num_ended() >= 10)
        time.sleep(rng.uniform(0, 3))
        cluster.kill()
        lost = time.monotonic()
        code = run.process.wait(timeout=200)
        print(f"the driver ended after {time.monotonic() - lost:.0f} s with {code}")
        print(run.output()[-2000:])
        done = run.num_ended()
    # Ray may end the driver at once, with its own code: that trials are missing.
    assert code in (1, 2)
    assert run.output().count("the cluster's head is gone") == 1
    with RayCluster() as cluster:
        cluster.add_node(cpus=2)
        run = ClusterRun(cluster, study, tmp_path)
        output = run.finish()
    told = re.search(r"^(\d+) of (\d+) trials to run\.$", output, re.MULTILINE)
    assert told, output
    assert int(told[2]) - int(told[1]) == done  # what had ended is not run again
    check(run, alone)
