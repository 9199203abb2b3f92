"""What a cluster can hold, and a head that goes: without a cluster."""

import socket

import pytest

from tune_metalr.errors import UserError
from tune_metalr.store import FolderStore

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_slots_are_counted_node_by_node():
    from tune_metalr.ray_pool.room import most_of, slots_on

    nodes = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 3.0}, {"CPU": 3.0}, {"node:1": 1.0}]
    assert slots_on(nodes, {"CPU": 1}) == 10
    assert slots_on(nodes, {"CPU": 2}) == 4
    assert slots_on(nodes, {"CPU": 1, "GPU": 0.25}) == 4
    assert slots_on(nodes, {"CPU": 0.1}) == 100
    assert slots_on(nodes, {"CPU": 5}) == 0
    assert most_of(nodes, {"CPU": 5, "GPU": 1}) == "the largest has 4 CPU, 1 GPU"
    assert most_of([], {"CPU": 5}) == "the cluster has no node"


def test_a_head_is_gone_when_it_has_not_answered_for_long(monkeypatch):
    from tune_metalr.ray_pool import head_watch

    clock = [0.0]
    monkeypatch.setattr(head_watch.time, "monotonic", lambda: clock[0])

    def is_gone_at(seconds: float) -> bool:
        clock[0] = seconds
        return watch.is_gone

    with socket.create_server(("127.0.0.1", 0)) as door:
        watch = head_watch.HeadWatch(f"127.0.0.1:{door.getsockname()[1]}")
        assert not any(is_gone_at(seconds) for seconds in (1, 10, 20, 100))
    assert not any(is_gone_at(seconds) for seconds in (106, 112, 118))
    assert is_gone_at(124)


def test_a_watch_that_was_held_up_gives_the_head_another_chance(monkeypatch):
    """Whoever looks may have waited for a storage: time alone tells nothing of the head."""
    from tune_metalr.ray_pool import head_watch

    clock = [0.0]
    monkeypatch.setattr(head_watch.time, "monotonic", lambda: clock[0])
    with socket.create_server(("127.0.0.1", 0)) as door:
        watch = head_watch.HeadWatch(f"127.0.0.1:{door.getsockname()[1]}")
    clock[0] = 300
    assert not watch.is_gone
    clock[0] = 600
    assert not watch.is_gone
    clock[0] = 606
    assert watch.is_gone


class ReadOnlyStore(FolderStore):
    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        raise PermissionError(30, "Read-only file system")


def test_results_are_seen_where_they_can_be_read_and_written(tmp_path):
    from tune_metalr.ray_pool.host_store import Results, forget_marker, seen_from_here

    store, other = FolderStore(tmp_path), FolderStore(tmp_path / "other")
    results = Results(store, b"marker", other)
    assert seen_from_here(results) is None
    store.write("marker", b"of another run")
    assert seen_from_here(results) is None
    store.write("marker", b"marker")
    assert seen_from_here(results) is store
    assert seen_from_here(results._replace(store=ReadOnlyStore(tmp_path))) is None
    assert [path.name for path in tmp_path.iterdir()] == ["marker"]
    store.write("marker", b"of a run that took over")
    forget_marker(store, b"marker")
    assert store.read("marker") == b"of a run that took over"
    store.write("marker", b"marker")
    forget_marker(store, b"marker")
    assert not list(tmp_path.iterdir())
    forget_marker(store, b"marker")


def test_the_host_reaches_a_storage_as_the_driver_does(tmp_path, monkeypatch):
    """Its node has no keys, or others."""
    from tune_metalr.ray_pool import host_store

    monkeypatch.setattr(host_store.os, "environ", {"AWS_ACCESS_KEY_ID": "ours", "HOME": "/home"})
    ours = host_store._access()
    node = {"AWS_SESSION_TOKEN": "the node's", "HOME": "/node"}
    monkeypatch.setattr(host_store.os, "environ", node)
    host_store._Host(FolderStore(tmp_path), ours)
    assert node == {"AWS_ACCESS_KEY_ID": "ours", "HOME": "/node"}


def test_tune_gives_no_key_of_a_storage_to_actors(monkeypatch):
    """Each node's raylet would write it into its log."""
    from ray.tune.execution import class_cache

    from tune_metalr.ray_pool.tune_parts import hand_on_no_secrets

    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", {*class_cache.ENV_VARS_TO_PROPAGATE})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "a-secret")
    hand_on_no_secrets()
    actor = class_cache._ActorClassCache().get(ReadOnlyStore)
    assert "a-secret" not in str(actor._default_options)
    assert "env_vars" in actor._default_options["runtime_env"]


def test_an_address_of_rays_client_is_refused_with_what_to_do():
    from tune_metalr.ray_pool.joining import join_cluster

    with pytest.raises(UserError, match="run on a node of the cluster with --address auto"):
        join_cluster("ray://127.0.0.1:10001")


def test_an_address_that_nobody_answers_at_is_told_at_once():
    from tune_metalr.ray_pool.joining import join_cluster

    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(UserError, match="Connection refused; is its head running"):
        join_cluster(f"127.0.0.1:{port}")


def test_fewer_cpus_than_a_trial_takes_are_refused_before_the_cluster_is_joined():
    from tune_metalr.dealer import Idle
    from tune_metalr.ray_pool import Pool, PoolEvents, PoolOptions, RaySession, SessionOptions

    def never(*arguments: object) -> None:
        raise AssertionError(arguments)

    session = RaySession(SessionOptions(2, "127.0.0.1:1", 4))
    pool = Pool(session, never, PoolOptions(need={"CPU": 4}, most_cpus=2))
    with pytest.raises(UserError, match="--cpus 2 is less than the 4 CPUs that a trial takes"):
        pool.run(PoolEvents(lambda: Idle.OVER, never, never, never, never))
