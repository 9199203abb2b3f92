"""A study on a cluster whose CPUs another driver holds."""

import os
import subprocess
import sys

import pytest

from analysis.load import load_trials
from tests.cluster_runs import ClusterRun
from tests.clusters import RayCluster
from tests.test_crowding import TAKEN

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

STUDY = """\
name: small
workloads: [{name: digits-cnn, train_examples: 128}]
epochs: 2
seeds: 3
methods: {sgd: {optimizer: sgd, lr: 0.01}}
"""

OTHER = """\
import sys
import ray
ray.init(sys.argv[1], log_to_driver=False)
ray.get(ray.util.placement_group([{"CPU": 1}]).ready())
print("holds", flush=True)
sys.stdin.read()
"""


def test_a_study_says_that_others_hold_the_cpus_and_runs_once_they_are_free(tmp_path):
    study = tmp_path / "small.yaml"
    study.write_text(STUDY)
    with RayCluster() as cluster:
        cluster.add_node()
        with subprocess.Popen(
            [sys.executable, "-c", OTHER, cluster.address],
            env=os.environ | cluster.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            assert other.stdout
            assert other.stdout.readline() == "holds\n"
            run = ClusterRun(cluster, study, tmp_path)
            run.wait_for(lambda: run.said(TAKEN) is not None, seconds=100)
            other.communicate("")
        output = run.finish(seconds=150)
    assert output.count(TAKEN) == 1
    assert set(load_trials(tmp_path / "small")["status"]) == {"completed"}
