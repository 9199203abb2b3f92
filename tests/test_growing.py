"""What a run asks of a cluster that can grow, and what it says meanwhile: without a cluster."""

import json
from collections import deque

import pytest

from tests.test_dealer import wanted
from tune_metalr.dealer import Dealer
from tune_metalr.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class FakeCluster:
    """Ray's answers, in the order of the looks; time passes between them."""

    def __init__(self, monkeypatch, *slots, growth, failure=None):
        from tune_metalr.ray_pool import autoscaler, cluster, room, vacancy

        self.slots = deque(slots)
        self.now = 0.0
        self.asked = []
        self.said = []
        said = autoscaler.Outlook(growth, failure)
        monkeypatch.setattr(cluster, "Demand", lambda need: self)
        monkeypatch.setattr(cluster, "room_for", lambda need: room.Room(self._next(), frozenset()))
        monkeypatch.setattr(cluster, "outlook", lambda ids: said)
        monkeypatch.setattr(cluster, "largest_for", lambda need: "the largest has 0 CPU")
        for module in (cluster, vacancy):
            monkeypatch.setattr(module, "time", self)
        self.make = lambda **options: cluster.Cluster(
            {"CPU": 2}, **{"most_cpus": None, "can_grow": True, "say": self.said.append} | options
        )

    ids = ("group",)

    def ask(self, number):
        self.asked.append(number)

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += 30.0

    def _next(self):
        return self.slots.popleft() if len(self.slots) > 1 else self.slots[0]


def test_a_cluster_without_workers_is_asked_for_some_and_waited_for(monkeypatch):
    from tune_metalr.ray_pool.autoscaler import Growth

    fake = FakeCluster(monkeypatch, *[0] * 8, 2, growth=Growth.POSSIBLE, failure="no capacity")
    fake.make().wait_for_room(lambda: 5)
    assert fake.asked == [5] * 8 + [0]
    assert fake.said == [
        "No node can hold a trial, which needs 2 CPU: waiting for one since 30 s; the last one "
        "could not be started: no capacity.",
        "No node can hold a trial, which needs 2 CPU: waiting for one since 150 s; the last one "
        "could not be started: no capacity.",
        "A node that can hold a trial is there.",
    ]


@pytest.mark.parametrize(
    ("growth", "seconds", "why"),
    [
        ("none", 30, "the largest has 0 CPU: let the study ask for less"),
        ("refused", 30, "the largest has 0 CPU, and the cluster starts no such node: let"),
        ("possible", 1200, "the largest has 0 CPU, and none came in 20 minutes: let the study"),
    ],
)
def test_a_trial_that_no_node_can_hold_is_told_as_soon_as_it_is_known(
    monkeypatch, growth, seconds, why
):
    from tune_metalr.ray_pool.autoscaler import Growth

    fake = FakeCluster(monkeypatch, 0, growth=Growth(growth))
    with pytest.raises(UserError, match=why):
        fake.make().wait_for_room(lambda: 5)
    assert fake.now == seconds


def test_a_cluster_is_asked_for_more_nodes_while_trials_wait(monkeypatch):
    from tune_metalr.ray_pool.autoscaler import Growth

    fake = FakeCluster(monkeypatch, 3, growth=Growth.POSSIBLE)
    cluster = fake.make()
    for waiting in (0, 4, 1000):
        cluster.look(waiting)
    fake.make(most_cpus=10).look(1000)
    assert fake.asked == [0, 4, 3 + 16, 2]


def test_a_cluster_that_cannot_grow_is_asked_for_nothing(monkeypatch):
    from tune_metalr.ray_pool.autoscaler import Growth

    fake = FakeCluster(monkeypatch, 3, growth=Growth.NONE)
    fake.make().look(1000)
    fake.make(can_grow=False).look(1000)
    assert fake.asked == [0]


def test_the_loss_of_the_last_node_is_told_and_so_is_the_next_one(monkeypatch):
    from tune_metalr.ray_pool.autoscaler import Growth

    fake = FakeCluster(monkeypatch, 2, 0, 0, 0, 0, 2, 2, growth=Growth.NONE)
    cluster = fake.make()
    for _ in range(7):
        cluster.look(0)
        fake.now += 8
    assert fake.said == [
        "No node can hold a trial, which needs 2 CPU: waiting for one since 16 s.",
        "A node that can hold a trial is there.",
    ]


def status(version=1, node_type="head", refused=(), failures=()):
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    reply = GetClusterStatusReply()
    reply.autoscaling_state.autoscaler_state_version = version
    reply.cluster_resource_state.node_states.add(ray_node_type_name=node_type)
    for name in refused:
        reply.autoscaling_state.infeasible_gang_resource_requests.add(
            details=f"{name}:PACK|PENDING"
        )
    for when, reason in failures:
        reply.autoscaling_state.failed_instance_requests.add(reason=reason, failed_ts=when)
    return reply.SerializeToString()


def test_what_the_second_version_of_the_autoscaler_says():
    from tune_metalr.ray_pool.autoscaler import Growth, Outlook, said_by_second

    assert said_by_second(status(version=0), []) is None
    assert said_by_second(status(node_type=""), ["a"]) == Outlook(Growth.NONE)
    assert said_by_second(status(refused=["a"]), ["a", "b"]) == Outlook(Growth.POSSIBLE)
    assert said_by_second(status(refused=["a", "b"]), ["a", "b"]) == Outlook(Growth.REFUSED)
    failed = status(failures=[(2, "no spot capacity"), (1, "no address")])
    assert said_by_second(failed, []) == Outlook(Growth.POSSIBLE, "no spot capacity")


def test_what_the_first_version_of_the_autoscaler_says():
    from tune_metalr.ray_pool.autoscaler import Growth, said_by_first

    def growth(report):
        return said_by_first(json.dumps(report).encode()).growth

    assert growth({}) is Growth.NONE
    assert growth({"autoscaler_report": {"active_nodes": {f"node_{'12' * 28}": 1}}}) is Growth.NONE
    head = {"active_nodes": {}, "idle_nodes": {"head": 1}}
    assert growth({"autoscaler_report": head}) is Growth.POSSIBLE
    named = {"active_nodes": {"node_head": 1, "node_cpu": 1}}
    assert growth({"autoscaler_report": named}) is Growth.POSSIBLE


def test_the_dealer_counts_what_could_be_dealt():
    dealer = Dealer(wanted(3, methods=("a",)), {})
    assert dealer.num_waiting == 3
    dealer.next()
    assert (dealer.num_waiting, dealer.num_running) == (2, 1)
