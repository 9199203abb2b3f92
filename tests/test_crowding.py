"""A cluster that others fill: what is said of trials that wait, without a cluster."""

import itertools
from unittest import mock

import pytest

from tests.test_dealer import wanted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TAKEN = "The cluster's CPUs are taken by others: waiting."


class Waiting:
    """A search with two trials; it looks at the cluster every three seconds."""

    def __init__(self, monkeypatch, *, slots=2):
        from tune_metalr.ray_pool import crowding, room, tune_parts

        self.now = 100.0
        self.slots = slots
        self.without_place = {"a", "b"}
        self.said = []
        for module in (tune_parts, crowding):
            monkeypatch.setattr(module, "time", self)
        trials = iter(wanted(2, methods=("a",)))
        self._search = tune_parts.DealtSearch(
            tune_parts.PoolEvents(lambda: next(trials), *itertools.repeat(None, 4))._replace(
                say=self.said.append
            ),
            look=lambda num_waiting: room.Room(self.slots, frozenset()),
            most_trials=10,
        )
        self._search.actors = self
        for name in ("a", "b"):
            self._search.suggest(name)

    def monotonic(self):
        return self.now

    def is_waiting(self, name):
        return True

    def has_no_place(self, name):
        return name in self.without_place

    def look(self, times):
        for _ in range(times):
            self.now += 3
            self._search.suggest("c")


def test_a_cluster_that_others_fill_is_told_of_once_until_it_was_free(monkeypatch):
    waiting = Waiting(monkeypatch)
    waiting.look(4)
    assert waiting.said == []
    waiting.look(20)
    assert waiting.said == [TAKEN]
    waiting.without_place = {"b"}
    waiting.look(20)
    waiting.without_place = {"a", "b"}
    waiting.look(4)
    assert waiting.said == [TAKEN]
    waiting.look(1)
    assert waiting.said == [TAKEN, TAKEN]


def test_actors_that_start_slowly_are_nobody_elses(monkeypatch):
    waiting = Waiting(monkeypatch)
    waiting.without_place = set()
    waiting.look(20)
    assert waiting.said == []


def test_a_cluster_without_a_node_is_not_called_full(monkeypatch):
    waiting = Waiting(monkeypatch)
    waiting.slots = 0
    waiting.look(20)
    assert waiting.said == []


@pytest.mark.parametrize(
    ("status", "has_actor", "is_started", "is_without"),
    [
        ("PENDING", False, False, True),
        ("PENDING", True, False, True),
        ("PENDING", True, True, False),
        ("RUNNING", True, True, False),
    ],
)
def test_a_trial_has_a_place_as_soon_as_its_actor_starts(status, has_actor, is_started, is_without):
    from tune_metalr.ray_pool.tune_parts import WarmActors

    trial = mock.Mock(trial_id="a", status=status, config={"slot": 0})
    controller = mock.Mock(_trial_to_actor={trial: "actor"} if has_actor else {})
    controller._actor_manager.is_actor_started.return_value = is_started
    actors = WarmActors(mock.Mock())
    actors.on_trial_add(mock.Mock(_tune_controller=controller), trial)
    assert actors.has_no_place("a") is is_without
