"""Studies on a cluster whose autoscaler has to start every node first."""

import pytest

from analysis.load import load_trials
from tests.cluster_runs import ClusterRun
from tests.growing_cluster import GrowingCluster

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

STUDY = """\
name: small
workloads: [{name: digits-cnn, train_examples: 128}]
epochs: 12
seeds: 24
methods: {sgd: {optimizer: sgd, lr: 0.01}}
"""


@pytest.mark.parametrize("version", [1, 2])
def test_a_cluster_without_workers_starts_some_and_completes_the_study(tmp_path, version):
    study = tmp_path / "small.yaml"
    study.write_text(STUDY)
    with GrowingCluster(cpus_of_a_worker=1, most_workers=2, version=version) as cluster:
        run = ClusterRun(cluster, study, tmp_path)
        run.wait_for(lambda: run.num_ended() >= 1)
        run.wait_for(lambda: cluster.num_workers() == 2)
        run.finish()
    assert set(load_trials(tmp_path / "small")["status"]) == {"completed"}


def test_a_trial_that_no_node_of_such_a_cluster_can_hold_is_told_in_seconds(tmp_path):
    study = tmp_path / "small.yaml"
    study.write_text(f"{STUDY}resources: {{cpus: 64}}\n")
    with GrowingCluster(cpus_of_a_worker=1, most_workers=2) as cluster:
        run = ClusterRun(cluster, study, tmp_path)
        assert run.process.wait(timeout=120) == 2
    assert "the largest has 0 CPU, and the cluster starts no such node" in run.output()
