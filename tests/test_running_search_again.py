"""A search that goes on: after any kill, after failures, longer, shorter, or changed."""

import dataclasses
import functools
import json
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.searches import (
    FAILED,
    QUICK,
    SPACE,
    KilledError,
    MemoryRecords,
    make_search,
    result_of,
    run_searches,
    sampler_of,
    search_of,
    trial_at,
    unlucky,
    whole,
)
from tune_metalr.errors import UserError
from tune_metalr.outcome import Outcome
from tune_metalr.proposals import Told
from tune_metalr.pruning import PRUNERS
from tune_metalr.running_search import RunningSearch
from tune_metalr.search import Search
from tune_metalr.space import Axis, Kind
from tune_metalr.trial import Role, Trial, canonical_json

# The same after a kill at any moment


def run_killed(
    search: Search, kills: list[int], *, slots: int, order: int, objective=result_of
) -> MemoryRecords:
    records = MemoryRecords()
    for kill, events in enumerate(kills):
        records.kill_after(events)
        try:
            run_searches([search], records, slots=slots, order=order + kill, objective=objective)
        except KilledError:
            continue
    records.kill_after(math.inf)
    run_searches([search], records, slots=slots, order=order, objective=objective)
    return records


KILLS = st.lists(st.integers(0, 80), max_size=5)


@given(
    sampler=st.sampled_from(QUICK),
    pruner=st.sampled_from([None, *PRUNERS]),
    kills=KILLS,
    slots=st.sampled_from([1, 2, 4]),
    order=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_a_search_killed_at_any_moment_is_the_uninterrupted_one(
    sampler, pruner, kills, slots, order
) -> None:
    search = search_of(sampler, pruner)
    expected = whole(search)
    records = run_killed(search, kills, slots=slots, order=order)
    assert records.rows == expected.rows
    assert records.ended == expected.ended
    assert set(records.runs.values()) == {1}, "what had ended was run again"


@pytest.mark.parametrize(("sampler", "moments"), [("tpe", range(60)), ("gp", [45])])
def test_a_search_killed_at_each_event_in_turn_is_the_uninterrupted_one(sampler, moments) -> None:
    search = search_of(sampler, trials=13, finals=1)
    expected = whole(search)
    for moment in moments:
        records = run_killed(search, [moment], slots=2, order=moment)
        assert (records.rows, records.ended) == (expected.rows, expected.ended)


@given(kills=KILLS, slots=st.sampled_from([1, 2, 4]), order=st.integers(0, 1000))
def test_trials_that_always_fail_change_nothing_of_that(kills, slots, order) -> None:
    search = search_of("tpe", "median")
    expected = whole(search, objective=unlucky)
    records = run_killed(search, kills, slots=slots, order=order, objective=unlucky)
    assert records.rows == expected.rows
    assert "FAIL" in {row["state"] for row in records.of(search)}


@given(kills=KILLS, order=st.integers(0, 1000), luck=st.integers(0, 1000))
def test_trials_that_fail_now_and_then_never_lead_a_search_astray(kills, order, luck) -> None:
    search = search_of("tpe", "median")
    rng = random.Random(luck)
    records = run_killed(
        search,
        kills,
        slots=2,
        order=order,
        objective=lambda trial: FAILED if rng.random() < 0.3 else result_of(trial),
    )
    rows = records.of(search)
    assert [row["index"] for row in rows] == list(range(search.trials))
    # And once more: what was recorded stands, but for the last batch, whose failures are retried.
    before = [dict(row) for row in rows]
    run_searches([search], records)
    assert records.of(search)[:20] == before[:20]


def test_a_complete_search_is_read_without_its_sampler_and_nothing_is_written() -> None:
    search = search_of("gp", "median")
    records = whole(search)
    writes = records.num_writes

    def no_sampler(_: Search):
        raise AssertionError("the sampler is not needed")

    assert run_searches([search], records, make=no_sampler) == []
    assert records.num_writes == writes


def test_going_on_writes_only_what_is_new() -> None:
    search = make_search(trials=12, finals=1)
    records = whole(search)
    writes = records.num_writes
    longer = dataclasses.replace(search, trials=16)
    run_searches([longer], records)
    assert records.num_writes == writes + 2  # the fourth batch asked, and told


# Failures


def fails_once(*indices: int, search: Search):
    """Return an objective by which these trials fail the first time."""
    doomed = {
        row["trial_id"] for index, row in enumerate(whole(search).of(search)) if index in indices
    }
    seen: Counter[str] = Counter()

    def objective(trial: Trial) -> Outcome:
        seen[trial.trial_id] += 1
        is_doomed = trial.trial_id in doomed and seen[trial.trial_id] == 1
        return FAILED if is_doomed else result_of(trial)

    return objective


def test_a_failure_stays_once_a_later_batch_was_asked() -> None:
    search = make_search(sampler="tpe", trials=20)
    objective = fails_once(1, search=search)
    records = whole(search, objective=objective)
    assert records.of(search)[1]["state"] == "FAIL"
    before = records.proposals(search.search_id)
    assert run_searches([search], records, objective=objective) == []
    run_searches([dataclasses.replace(search, trials=24)], records, objective=objective)
    assert records.of(search)[:20] == before
    assert records.runs[before[1]["trial_id"]] == 1


def test_a_failure_of_the_last_batch_is_tried_again_by_the_next_run() -> None:
    search = make_search(sampler="tpe", trials=12)
    objective = fails_once(11, search=search)
    records = whole(search, objective=objective)
    row = records.of(search)[11]
    assert (row["state"], row["told_value"]) == ("FAIL", None)
    dealt = run_searches([search], records, objective=objective)
    assert row["trial_id"] in {item.trial.trial_id for item in dealt}
    assert records.rows == whole(search).rows


def test_a_failure_of_a_batch_that_was_cut_short_is_tried_again() -> None:
    search = make_search(sampler="tpe", trials=12)
    doomed = whole(search).of(search)[5]["trial_id"]
    objective = fails_once(5, search=search)
    records = MemoryRecords()

    def fail_and_be_killed(trial: Trial) -> Outcome:
        if trial.trial_id == doomed:
            records.kill_after(2)  # its outcome is just written
        return objective(trial)

    with pytest.raises(KilledError):
        run_searches([search], records, slots=1, objective=fail_and_be_killed)
    assert records.ended[doomed] == FAILED
    records.kill_after(math.inf)
    run_searches([search], records, objective=objective)
    assert records.rows == whole(search).rows


# A search that is no longer the same

OTHER_SPACE = SPACE | {"lr": Axis(kind=Kind.LOG_UNIFORM, low=1e-3, high=10.0)}
CHANGES = {
    "space": {"space": OTHER_SPACE},
    "batch": {"batch": 5},
    "epochs": {"make_trial": lambda point: dataclasses.replace(trial_at(point), epochs=4)},
    "batch_size": {"make_trial": lambda point: dataclasses.replace(trial_at(point), batch_size=8)},
    "batch and space": {"batch": 5, "space": OTHER_SPACE},
}


@pytest.mark.parametrize(("what", "changes"), CHANGES.items(), ids=CHANGES)
def test_a_search_that_was_changed_under_its_old_name_is_refused(what, changes) -> None:
    search = make_search(trials=8)
    records = whole(search)
    with pytest.raises(UserError) as error:
        run_searches([dataclasses.replace(search, **changes)], records)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert f"search 'wide' was begun with another {what};" in message
    assert "new name" in message
    assert f"{search.search_id}.parquet" in message


def test_a_search_that_an_earlier_version_began_goes_on() -> None:
    search = make_search(trials=8)
    records = whole(search)
    for row in records.rows[search.search_id]:
        definition = json.loads(row["search_definition"])
        assert definition.pop("device") is None  # unknown to it
        row["search_definition"] = canonical_json(definition)
    longer = dataclasses.replace(search, trials=12)
    run_searches([longer], records)
    columns = ("index", "trial_id", "told_value")
    found, expected = (
        [tuple(row[name] for name in columns) for row in each.of(longer)]
        for each in (records, whole(longer))
    )
    assert found == expected


def test_a_grid_of_other_points_is_refused_and_that_of_another_sampler_is_none() -> None:
    changed = {"grid": {"lr": 2, "momentum": 3, "patience": 2}}
    for sampler in ("grid", "random"):
        search = make_search(sampler=sampler, trials=8)
        records = whole(search)
        other = dataclasses.replace(search, **changed)
        if sampler == "random":
            assert run_searches([other], records) == []
            continue
        with pytest.raises(UserError, match="another grid;"):
            run_searches([other], records)


class Moved:
    """A sampler that proposes other rates than it used to."""

    def __init__(self, search: Search, shift: float) -> None:
        self._sampler = sampler_of(search)
        self._shift = shift

    def ask(self, count: int) -> list[dict]:
        return [
            dict(point) | {"lr": point["lr"] * (1 + self._shift)}
            for point in self._sampler.ask(count)
        ]

    def tell(self, number: int, told: Told) -> None:
        self._sampler.tell(number, told)


def test_proposals_that_differ_from_the_recorded_ones_stop_the_search() -> None:
    search = make_search(trials=8)
    records = whole(search)
    longer = dataclasses.replace(search, trials=12)
    with pytest.raises(UserError) as error:
        run_searches([longer], records, make=lambda search: Moved(search, 1e-4))
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert "sampler 'random' proposes other points" in message
    assert records.rows == whole(search).rows


def test_the_recorded_proposal_wins_over_one_that_rounding_changed() -> None:
    search = make_search(trials=8)
    records = whole(search)
    longer = dataclasses.replace(search, trials=12)
    before = records.proposals(search.search_id)
    dealt = run_searches([longer], records, make=lambda search: Moved(search, 1e-9))
    assert records.of(longer)[:8] == before
    assert sum(item.role is Role.SEARCH for item in dealt) == 4


# Code that has changed


@pytest.mark.parametrize("batches", [2, 100])
def test_other_code_of_any_choice_is_another_search(batches) -> None:
    """What a search learned from the old code's outcomes is not told of the new code's."""

    def make_trial(point, revision):
        is_last = point["schedule"] == SPACE["schedule"].choices[-1]
        return dataclasses.replace(trial_at(point), method_revision=revision if is_last else "1")

    old, new = (
        search_of("tpe", make_trial=functools.partial(make_trial, revision=revision))
        for revision in ("1", "2")
    )
    records = MemoryRecords()
    running = RunningSearch(old, sampler_of, records)
    for _ in range(batches):
        for item in running.advance():
            records.end(item.trial, result_of(item.trial))
    with pytest.raises(UserError, match="begun with another method; give it a new name"):
        RunningSearch(new, sampler_of, records).check_unchanged()


def test_a_trial_that_is_no_more_what_was_recorded_is_refused() -> None:
    search = search_of("random")
    records = whole(search)
    search_definition = records.of(search)[0]["search_definition"]
    other = search_of("random", make_trial=lambda point: trial_at({**point, "momentum": 0.123}))
    definition = canonical_json(other.definition())
    rows = [dict(row, search_definition=definition) for row in records.of(search)]
    assert rows[0]["search_definition"] != search_definition
    records.rows[search.search_id] = rows
    with pytest.raises(UserError, match="trials of search 'wide' are not what they were"):
        RunningSearch(other, sampler_of, records).advance()
