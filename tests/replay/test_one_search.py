import math

import numpy as np
import pytest

from tests.replay.surfaces import TWO_AXES, dense_folder, made_up_search
from tests.replay.test_table import HERE, THERE, made_table, recorded
from tests.searches import QUICK
from tune_metalr.errors import UserError
from tune_metalr.outcome import Outcome
from tune_metalr.proposals import make_sampler
from tune_metalr.pruning import PRUNERS, Pruner
from tune_metalr.replay import one_search
from tune_metalr.replay.one_search import ReplayName, replay_search
from tune_metalr.replay.recording import recordings
from tune_metalr.replay.resolving import Resolver, Rule
from tune_metalr.replay.samplers import sampler_on
from tune_metalr.replay.table import make_table
from tune_metalr.running_search import RunningSearch
from tune_metalr.search import Search
from tune_metalr.seeds import derive_seed
from tune_metalr.trial import Status


class Overheard:
    """A sampler, with what it proposed and was told."""

    def __init__(self, sampler) -> None:
        self._sampler = sampler
        self.points: list = []
        self.told: list = []

    def ask(self, count):
        points = self._sampler.ask(count)
        self.points += points
        return points

    def tell(self, number, told):
        self.told.append((number, told))
        self._sampler.tell(number, told)


class LiveSearch(Search):
    """A live search that has the random streams of a replayed one."""

    @property
    def search_id(self):
        return NAME.search_id


class TableRecords:
    """Runs a live search's trials by looking them up."""

    def __init__(self, resolver, search_id) -> None:
        self._resolver, self._search_id = resolver, search_id
        self._outcomes: dict[str, Outcome] = {}
        self.recorded: list = []

    def proposals(self, search_id):
        return self.recorded

    def record(self, search_id, rows):
        self.recorded = list(rows)

    def outcomes(self, trial_ids):
        return {i: self._outcomes[i] for i in trial_ids if i in self._outcomes}

    def run(self, wanted, points):
        """Train as `training` would: an epoch, divergence, what the pruner asks for."""
        for index, point in enumerate(points):
            quantile = derive_seed("quantile", self._search_id, index) / 2**63
            found = self._resolver.resolve([point], np.array([quantile]))
            curve = tuple(found.curves[0, : found.curve_lengths[0]].tolist())
            seed = derive_seed("search", self._search_id, index)
            for trial in (item.trial for item in wanted if item.trial.seed == seed):
                self._outcomes[trial.trial_id] = self._outcome(trial, found, curve)
        assert all(item.trial.trial_id in self._outcomes for item in wanted)

    def _outcome(self, trial, found, curve):
        for epoch, accuracy in enumerate(curve, start=1):
            minima = trial.minimum_accuracies or ()
            minimum = minima[epoch - 1] if epoch <= len(minima) else None
            if minimum is not None and accuracy < minimum:
                return Outcome(Status.PRUNED, None, None, curve[:epoch])
        if found.is_diverged[0]:
            return Outcome(Status.DIVERGED, None, None, curve)
        accuracy, loss = found.validation_accuracy[0], found.validation_loss_nats[0]
        return Outcome(Status.COMPLETED, float(accuracy), float(loss), curve)


NAME = ReplayName("digits-cnn", "tpe", None, 4, 0, 7)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = dense_folder(tmp_path_factory.mktemp("dense"), grid={"lr": 12, "weight_decay": 8},
                        repeats=2)  # fmt: skip
    return make_table(recordings(root)[0])


def live(table, name, trials):
    """Run the project's live search on the table; return its sampler."""
    made = made_up_search(sampler=name.sampler, pruner=name.pruner, trials=trials, batch=name.batch)
    fields = {key: getattr(made, key) for key in made.__dataclass_fields__}
    heard = []

    def make(search):
        heard.append(
            Overheard(
                make_sampler(name.sampler, table.recording.space, grid=table.recording.grid,
                             seed=derive_seed("sampler", name.search_id))
            )
        )  # fmt: skip
        return heard[0]

    records = TableRecords(Resolver(table, Rule.INTERPOLATED, with_curves=True), name.search_id)
    running = RunningSearch(LiveSearch(**fields), make, records)
    while wanted := running.advance():
        records.run(wanted, heard[0].points)
    return heard[0]


def replayed(table, name, trials, monkeypatch):
    heard = []

    def overheard(*args, **options):
        heard.append(Overheard(sampler_on(*args, **options)))
        return heard[-1]

    monkeypatch.setattr(one_search, "sampler_on", overheard)
    resolver = Resolver(table, Rule.INTERPOLATED, with_curves=name.pruner is not None)
    replay_search(resolver, name, trials=trials)
    return heard[0]


@pytest.mark.parametrize("pruner", [None, *PRUNERS])
@pytest.mark.parametrize("sampler", QUICK)
def test_it_proposes_what_a_live_search_does(table, monkeypatch, sampler, pruner):
    name = NAME._replace(sampler=sampler, pruner=pruner and Pruner(pruner))
    monkeypatch.setitem(globals(), "NAME", name)
    first, second = live(table, name, 30), replayed(table, name, 30, monkeypatch)
    assert first.points == second.points
    assert len(first.points) == 32  # the last batch is asked whole
    told = first.told[: len(second.told)]
    assert told == second.told
    assert len(second.told) == 30


def test_a_gaussian_process_proposes_what_it_does_live(table, monkeypatch):
    name = NAME._replace(sampler="gp")
    monkeypatch.setitem(globals(), "NAME", name)
    assert live(table, name, 16).points == replayed(table, name, 16, monkeypatch).points


def run(table, name=NAME, trials=16, rule=Rule.NEAREST):
    resolver = Resolver(table, rule, with_curves=name.pruner is not None)
    return replay_search(resolver, name, trials=trials)


def test_a_repeat_is_the_same_each_time_and_another_one_is_not(table):
    first, second = run(table), run(table)
    other = run(table, NAME._replace(repeat=8))
    for name, values in first._asdict().items():
        assert np.array_equal(values, getattr(second, name), equal_nan=True), name
    assert not np.array_equal(first.test_accuracy, other.test_accuracy)


def test_trials_see_every_seed_of_a_point_equally_often():
    table = made_table([recorded(HERE, value) for value in (0.5, 0.6, 0.7)])
    name = NAME._replace(sampler="random", batch=64)
    seen = run(table, name, trials=1024).validation_accuracy
    counts = [np.count_nonzero(seen == value) for value in (0.5, 0.6, 0.7)]
    assert sum(counts) == 1024
    assert max(abs(count - 1024 / 3) for count in counts) < 4 * math.sqrt(1024 * 2 / 9)


def test_what_diverged_is_never_selected_and_counts_as_chance():
    table = made_table([recorded(HERE, 0.1, diverged=True), recorded(THERE, 0.05, test=0.04)])
    found = run(table, NAME._replace(sampler="random-rows", batch=2), trials=2)
    completed = found.is_completed
    assert completed.sum() == 1
    assert np.isnan(found.validation_accuracy[~completed]).all()
    assert found.test_accuracy[~completed] == [0.1]
    assert found.test_accuracy[completed] == [0.04]


def test_a_pruned_trial_is_charged_for_the_epochs_that_it_had(table):
    name = NAME._replace(sampler="random", pruner=Pruner.MEDIAN)
    pruned, whole = run(table, name, trials=64), run(table, name._replace(pruner=None), trials=64)
    assert 0.1 < pruned.is_pruned.mean() < 0.6
    charged = pruned.gradient_evaluations[pruned.is_pruned]
    assert set(charged.tolist()) <= {10.0, 20.0, 30.0}
    assert (pruned.gradient_evaluations[~pruned.is_pruned] == 40).all()
    assert pruned.seconds.sum() < whole.seconds.sum()
    assert (pruned.test_accuracy[pruned.is_pruned] == 0.1).all()


def test_rows_are_proposed_once_each(table, monkeypatch):
    heard = replayed(table, NAME._replace(sampler="random-rows"), 96, monkeypatch)
    asked = {tuple(point.items()) for point in heard.points}
    assert asked == {tuple(point.items()) for point in table.points}
    assert run(table, NAME._replace(sampler="random-rows"), trials=96).distances.max() == 0


def test_a_sampler_without_further_proposals(table):
    with pytest.raises(UserError, match="'random-rows' has only 96 proposals"):
        run(table, NAME._replace(sampler="random-rows"), trials=97)


def test_the_space_of_the_table_is_that_of_the_study(table):
    assert list(table.recording.space) == list(TWO_AXES)
