"""The dealer against thousands of orders in which trials may end."""

import random

import pytest

from tune_metalr.dealer import Dealer, Idle
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
        assert dealer.num_waiting == 0


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
