"""Places that wait for nodes: how often Ray is called for them, and how many there are."""

from collections import deque
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class FakeRay:
    """Places by number; a place is its own promise."""

    def __init__(self, monkeypatch):
        from tune_metalr.ray_pool import demand

        self.made, self.removed, self.found = [], [], set()
        monkeypatch.setattr(demand, "placement_group", self._make)
        monkeypatch.setattr(demand, "remove_placement_group", self._remove)
        monkeypatch.setattr(demand, "placement_group_table", self._refuse, raising=False)
        monkeypatch.setattr(demand, "ray", self, raising=False)
        self.demand = demand.Demand({"CPU": 2})

    def wait(self, promises, *, num_returns, timeout):
        assert (num_returns, timeout) == (len(promises), 0)
        assert promises
        done = [number for number in promises if number in self.found]
        return done, [number for number in promises if number not in self.found]

    def waiting(self):
        return [number for number in self.made if number not in self.removed]

    def _make(self, bundles):
        assert bundles == [{"CPU": 2}]
        number = len(self.made)
        self.made.append(number)
        name = SimpleNamespace(hex=lambda: f"place-{number}")
        return SimpleNamespace(number=number, ready=lambda: number, id=name)

    def _remove(self, place):
        self.removed.append(place.number)

    def _refuse(self, place=None):
        raise AssertionError("a call for each place, or a table of all there ever were")


def test_places_are_followed_without_asking_for_each_one(monkeypatch):
    fake = FakeRay(monkeypatch)
    fake.demand.ask(3)
    fake.demand.ask(3)
    assert (fake.made, fake.removed) == ([0, 1, 2], [])
    fake.found = {1}
    fake.demand.ask(3)
    assert fake.waiting() == [0, 2, 3]
    assert fake.demand.ids == ["place-0", "place-2", "place-3"]
    fake.demand.ask(1)
    assert fake.waiting() == [0]
    fake.found |= {0}
    fake.demand.ask(0)
    assert fake.waiting() == fake.demand.ids == []


class FakeDemand:
    ids = ()

    def __init__(self):
        self.asked = []

    def ask(self, number):
        self.asked.append(number)


def cluster_that_hears(monkeypatch, *said, slots):
    from tune_metalr.ray_pool import cluster, room

    demand, answers = FakeDemand(), deque(said)
    monkeypatch.setattr(cluster, "Demand", lambda need: demand)
    monkeypatch.setattr(cluster, "room_for", lambda need: room.Room(slots, frozenset()))
    monkeypatch.setattr(cluster, "outlook", lambda ids: answers.popleft())
    made = cluster.Cluster({"CPU": 2}, most_cpus=None, can_grow=True, say=lambda text: None)
    return made, demand


def test_a_large_cluster_is_asked_for_a_bounded_number_of_places(monkeypatch):
    from tune_metalr.ray_pool.autoscaler import Growth, Outlook

    cluster, demand = cluster_that_hears(monkeypatch, Outlook(Growth.POSSIBLE), slots=500)
    cluster.look(1000)
    assert demand.asked == [64]


def test_an_autoscaler_that_does_not_answer_once_takes_no_place_back(monkeypatch):
    from tune_metalr.ray_pool.autoscaler import Growth, Outlook

    no_answer, yes = Outlook(Growth.NONE), Outlook(Growth.POSSIBLE)
    said = (no_answer, yes, no_answer, Outlook(Growth.REFUSED))
    cluster, demand = cluster_that_hears(monkeypatch, *said, slots=3)
    for _ in said:
        cluster.look(5)
    assert demand.asked == [0, 5, 5, 5]
