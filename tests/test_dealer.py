"""The dealer against thousands of orders in which trials may end, searches among them."""

import random
from collections import deque
from collections.abc import Mapping

import pytest

from tests.searches import make_search
from tune_metalr.dealer import Dealer, Idle, Job
from tune_metalr.search import Search
from tune_metalr.trial import Role, Status, Trial, WantedTrial


def wanted(count, methods=("a", "b")):
    return [
        WantedTrial(
            Trial(
                workload="w", workload_settings={}, data_version="", optimizer=method,
                schedule="", controller="", hyperparameters={}, method_revision="", seed=seed,
                epochs=1, batch_size=1, train_examples=None, precision="float32", threads=1,
            ),
            Role.BASELINE,
            method,
            None,
        )
        for seed in range(count)
        for method in methods
    ]  # fmt: skip


def play(dealer, rng, *, slots, statuses=tuple(Status)):
    """Deal to `slots` workers that end in random order; return what was dealt."""
    dealt, running = [], []
    while True:
        while len(running) < slots and isinstance(item := dealer.next(), WantedTrial):
            running.append(item.trial.trial_id)
            dealt.append(item.trial.trial_id)
        if not running:
            return dealt
        ended = running.pop(rng.randrange(len(running)))
        dealer.ended(ended, rng.choice(statuses))


def test_every_trial_is_dealt_once_in_the_same_order_whoever_ends_first():
    trials = wanted(5)
    ids = [item.trial.trial_id for item in trials]
    for seed in range(2000):
        rng = random.Random(seed)
        dealer = Dealer(trials, {})
        assert play(dealer, rng, slots=rng.randint(1, 12)) == ids
        assert dealer.num_ended == dealer.num_trials == 10
        assert dealer.is_over


def test_what_has_a_result_is_not_dealt_and_what_failed_is_dealt_again():
    trials = wanted(4)
    for seed in range(500):
        rng = random.Random(seed)
        recorded = {
            item.trial.trial_id: rng.choice(list(Status)) for item in trials if rng.random() < 0.5
        }
        dealt = play(Dealer(trials, recorded), rng, slots=3, statuses=(Status.COMPLETED,))
        assert set(dealt) == {
            item.trial.trial_id
            for item in trials
            if recorded.get(item.trial.trial_id) in (None, Status.FAILED)
        }


def test_rows_that_the_study_does_not_want_are_not_counted():
    dealer = Dealer(wanted(1), {"somebody else's": Status.COMPLETED})
    assert (dealer.num_trials, dealer.num_ended) == (2, 0)


def test_results_of_earlier_runs_are_known_before_a_search_has_asked_for_them():
    assert Dealer(wanted(1), {"of a search": Status.DIVERGED}).has_earlier_results
    assert not Dealer(wanted(1), {"of a search": Status.FAILED}).has_earlier_results


def test_a_trial_that_two_cells_want_is_dealt_once_and_counted_in_both():
    item = wanted(1, methods=("a",))[0]
    dealer = Dealer([item, item._replace(method="b")], {})
    assert dealer.next() == item
    assert dealer.next() is Idle.OVER
    dealer.ended(item.trial.trial_id, Status.DIVERGED)
    counts = dealer.count_by_method()
    assert counts["a"] == counts["b"]
    assert counts["a"].diverged == counts["a"].wanted == 1


def test_counts_say_where_each_method_stands():
    trials = wanted(3)
    dealer = Dealer(trials, {trials[0].trial.trial_id: Status.COMPLETED})
    dealer.next()
    first = dealer.next()
    dealer.ended(first.trial.trial_id, Status.FAILED)
    counts = dealer.count_by_method()
    assert counts["a"] == (3, 1, 0, 0, 1)
    assert counts["b"] == (3, 0, 1, 0, 0)


def test_an_end_that_was_not_dealt_is_refused():
    dealer = Dealer(wanted(1), {})
    with pytest.raises(ValueError, match="was not running"):
        dealer.ended("unknown", Status.COMPLETED)


class Scripted:
    """A search whose batches are known beforehand."""

    def __init__(self, name: str, *, trials: int, batch: int = 4, finals: int = 0) -> None:
        self.search: Search = make_search(name=name, trials=trials, batch=batch, finals=finals)
        self.is_complete = False
        self.failures: list[str] = []
        self.trials = [
            self.search.wanted(self.search.proposed(POINT, index, None)) for index in range(trials)
        ]
        self._num_asked = 0

    def advance(self) -> list[WantedTrial]:
        first, self._num_asked = self._num_asked, self._num_asked + self.search.batch
        return self.trials[first : self._num_asked]

    def statuses(self) -> Mapping[str, Status]:
        return {}

    def finals(self) -> list[WantedTrial]:
        return [
            self.search.final(self.trials[0].trial, rank, seed)
            for rank in range(1, self.search.finals + 1)
            for seed in self.search.seeds
        ][: self.search.finals * len(self.search.seeds)]

    def hear_failure(self, trial_id: str) -> None:
        self.failures.append(trial_id)


POINT = {"lr": 0.1}


def ids(search: Scripted) -> list[str]:
    return [item.trial.trial_id for item in search.trials]


def test_searches_and_untuned_trials_are_each_dealt_once_whoever_ends_first() -> None:
    for seed in range(500):
        rng = random.Random(seed)
        searches = [Scripted("a", trials=rng.randint(1, 9)), Scripted("b", trials=6, batch=2)]
        dealer = Dealer(wanted(3), {}, searches)
        dealt = play(dealer, rng, slots=rng.randint(1, 9))
        everything = [item.trial.trial_id for item in wanted(3)] + ids(searches[0])
        assert sorted(dealt) == sorted(everything + ids(searches[1]))
        assert [one for one in dealt if one in ids(searches[1])] == ids(searches[1])
        assert dealer.is_over
        assert dealer.next() is Idle.OVER
        assert dealer.num_ended == dealer.num_trials == len(dealt)


def test_untuned_trials_and_searches_advance_in_step() -> None:
    searches = [Scripted("a", trials=40), Scripted("b", trials=20)]
    untuned = wanted(10)
    dealt = play(Dealer(untuned, {}, searches), random.Random(0), slots=1)
    groups = [ids(searches[0]), ids(searches[1]), [item.trial.trial_id for item in untuned]]
    for num_dealt in range(len(dealt)):
        shares = [sum(one in group for one in dealt[:num_dealt]) / len(group) for group in groups]
        assert max(shares) - min(shares) < 0.15


def test_a_search_that_waits_keeps_no_one_from_working() -> None:
    dealer = Dealer(wanted(2), {}, [Scripted("a", trials=8, batch=2)])
    # Both of the batch run; then all that is untuned is dealt, and only then is there a pause.
    dealt = [dealer.next() for _ in range(6)]
    assert all(isinstance(item, WantedTrial) for item in dealt)
    assert not dealer.is_short_of_trials or dealer.num_running == 6
    assert dealer.next() is Idle.WAIT
    assert dealer.is_short_of_trials


def test_only_waiting_for_a_batch_counts_as_a_shortage() -> None:
    search = Scripted("a", trials=2, batch=2)
    dealer = Dealer(wanted(1, methods=("a",)), {}, [search])
    assert not dealer.is_short_of_trials
    while isinstance(dealer.next(), WantedTrial):
        pass
    assert dealer.is_short_of_trials
    for trial_id in ids(search):
        dealer.ended(trial_id, Status.COMPLETED)
    assert not dealer.is_short_of_trials  # only an untuned trial runs: nothing could be added


def test_searches_think_when_they_are_told_to() -> None:
    jobs: deque[Job] = deque()
    search = Scripted("a", trials=4, batch=2)
    dealer = Dealer([], {}, [search], later=jobs.append)
    for first in (0, 2):
        assert dealer.next() is Idle.WAIT
        assert not dealer.is_over
        jobs.popleft()()
        for trial_id in ids(search)[first : first + 2]:
            assert not jobs  # no thought before the batch has ended
            item = dealer.next()
            assert isinstance(item, WantedTrial)
            assert item.trial.trial_id == trial_id
            assert dealer.wanted(trial_id) == item
            dealer.ended(trial_id, Status.COMPLETED)
    assert dealer.next() is Idle.WAIT
    jobs.popleft()()
    assert dealer.next() is Idle.OVER
    assert not jobs


def test_a_complete_search_does_not_wait_for_the_thread() -> None:
    search = Scripted("a", trials=0)
    search.is_complete = True
    dealer = Dealer([], {}, [search], later=lambda job: pytest.fail("thought later"))
    assert dealer.is_over


def test_an_error_of_a_search_is_kept_for_whoever_watches() -> None:
    class Broken(Scripted):
        def advance(self) -> list[WantedTrial]:
            if self._num_asked:
                raise RuntimeError("no more ideas")
            return super().advance()

    broken, sound = Broken("broken", trials=4, batch=2), Scripted("sound", trials=4, batch=2)
    dealer = Dealer([], {}, [broken, sound])
    assert dealer.error is None
    dealt = play(dealer, random.Random(0), slots=2)
    assert str(dealer.error) == "no more ideas"
    assert sorted(dealt) == sorted(ids(broken)[:2] + ids(sound))
    assert dealer.next() is Idle.WAIT
    assert not dealer.is_over


def test_winners_are_dealt_when_their_search_is_over_and_told_to_whoever_records_them() -> None:
    found: list[WantedTrial] = []
    search = Scripted("a", trials=4, finals=2)
    dealer = Dealer([], {}, [search], found=found.extend)
    assert dealer.num_trials == 4 + 2 * 2
    dealt = play(dealer, random.Random(0), slots=1)
    assert dealt[:4] == ids(search)
    assert found == search.finals()
    # Both winners are one configuration here: they share their runs.
    assert set(dealt[4:]) == {item.trial.trial_id for item in found}
    assert len(dealt) == 4 + 2
    assert dealer.num_ended == dealer.num_trials == 6


def test_a_winner_that_was_run_before_is_not_run_again() -> None:
    search = Scripted("a", trials=4, finals=1)
    recorded = {search.finals()[0].trial.trial_id: Status.COMPLETED}
    dealt = play(Dealer([], recorded, [search]), random.Random(0), slots=1)
    assert dealt == [*ids(search), search.finals()[1].trial.trial_id]


def test_a_search_hears_of_its_failures_alone() -> None:
    search = Scripted("a", trials=3, batch=3)
    dealer = Dealer(wanted(1, methods=("x",)), {}, [search])
    while isinstance(dealer.next(), WantedTrial):
        pass
    dealer.ended(wanted(1, methods=("x",))[0].trial.trial_id, Status.FAILED)
    for trial_id, status in zip(ids(search), ("failed", "completed", "pruned"), strict=True):
        dealer.ended(trial_id, Status(status))
    assert search.failures == ids(search)[:1]


def test_counts_of_searches_add_up_over_their_repeats() -> None:
    class Repeat(Scripted):
        def __init__(self, repeat: int) -> None:
            super().__init__("a", trials=4)
            self.search = make_search(name="a", trials=4, batch=4, finals=0, repeat=repeat)
            self.trials = [
                self.search.wanted(self.search.proposed(POINT, i, None)) for i in range(4)
            ]

    searches = [Repeat(0), Repeat(1)]
    dealer = Dealer([], {}, searches)
    dealt = [dealer.next() for _ in range(6)]
    for item, status in zip(dealt, Status, strict=False):
        assert isinstance(item, WantedTrial)
        dealer.ended(item.trial.trial_id, status)
    counts = dealer.count_by_method()
    assert list(counts) == ["a random"]
    assert counts["a random"] == (8, 2, 2, 1, 1)  # wanted, done, running, diverged, failed
