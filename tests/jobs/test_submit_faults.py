"""A submitted study on three real raylets and object storage, while all of them fail."""

import os
import random
import time

import pytest

from tests.cluster_runs import NUM_TRIALS, STUDY, ClusterRun, on_one_node, recorded
from tests.clusters import busy_workers
from tests.jobs.head import ray_head
from tests.object_storage import BUCKET, object_storage

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

RESULTS = f"s3://{BUCKET}/studies"


@pytest.fixture
def rng():
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    return random.Random(seed)


def test_a_node_that_dies_and_storage_that_fails_change_no_number_of_a_submitted_study(
    tmp_path, monkeypatch, rng
):
    (tmp_path / "small.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    with object_storage() as service, ray_head(os.environ["RAY_AUTH_TOKEN"], num_cpus=0) as head:
        service.weather.failing_fraction = 0.05
        doomed, _ = head.add_node(), head.add_node()
        run = ClusterRun(head, "small.yaml", RESULTS, verb="submit")
        run.wait_for(lambda: run.num_ended() >= 2)
        time.sleep(rng.uniform(0, 8))
        run.wait_for(lambda: bool(busy_workers(doomed)))
        doomed.kill()
        assert run.num_ended() < NUM_TRIALS
        head.add_node()
        service.weather.is_away = True
        time.sleep(20)
        service.weather.is_away = False
        output = run.finish(seconds=900)
        through_storage = recorded(f"{RESULTS}/small")
        assert service.weather.num_failed > 20
        secrets = [value for name, value in service.environment().items() if "KEY" in name]
    assert through_storage == on_one_node(tmp_path / "small.yaml", tmp_path / "alone")
    assert "lost: 1 node" in output
    assert f"{NUM_TRIALS} of {NUM_TRIALS} trials ended" in output
    assert not [secret for secret in (*secrets, head.token) if secret in output]
