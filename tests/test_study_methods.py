"""Methods of a study file: what they may be made of, and one clear line for each mistake."""

import pytest

from tests.conftest import SMALL_STUDY, expanded, without_data
from tune_metalr.errors import UserError
from tune_metalr.expansion import expand_searches
from tune_metalr.methods import CONTROLLERS, DEFAULT_LR
from tune_metalr.study import method_choice
from tune_metalr.study_file import load_study


def test_methods_that_are_the_same_are_refused(write_study):
    text = SMALL_STUDY + "  twin: {optimizer: sgd, lr: 0.01, momentum: 0.9}\n"
    with pytest.raises(UserError, match=r"'sgd-0.01' and 'twin' are the same"):
        expanded(write_study(text))


def test_a_schedule_beside_a_controller_is_refused(write_study, monkeypatch):
    sets_rate = CONTROLLERS["fixed"]._replace(sets_rate=True)
    monkeypatch.setattr(method_choice, "CONTROLLERS", {"fixed": sets_rate})
    for setting in ("schedule: cosine", "warmup_fraction: 0.1", "plateau_factor: 0.5"):
        text = SMALL_STUDY.replace("momentum: 0.9", setting)
        name = setting.partition(":")[0]
        with pytest.raises(UserError, match=f"sets the rate of every step itself: remove '{name}'"):
            load_study(write_study(text))


ONE_METHOD = "optimizer: sgd, lr: [1e-3, 1e-2], momentum: 0.9"


def with_method(settings):
    return SMALL_STUDY.replace(ONE_METHOD, settings)


def test_a_controller_that_sets_the_rate_needs_none_and_begins_where_it_is_told(write_study):
    (first, *_) = expanded(write_study(with_method("optimizer: sgd, controller: hypergradient")))
    assert first.method == "sgd"
    assert (first.trial.schedule, first.trial.controller) == ("constant", "hypergradient")
    assert first.trial.hyperparameters["lr"] == DEFAULT_LR
    told = with_method(f"optimizer: sgd, controller: hypergradient, lr: {DEFAULT_LR}")
    assert expanded(write_study(told))[0] == first


def test_a_controller_may_begin_at_each_of_several_rates(write_study):
    text = with_method("optimizer: sgd, controller: metalr, lr: [1e-4, 1e-2]")
    trials = {item.method: item.trial for item in expanded(write_study(text))}
    assert list(trials) == ["sgd-0.0001", "sgd-0.01"]
    assert [trial.hyperparameters["lr"] for trial in trials.values()] == [1e-4, 1e-2]


CONTROLLERS_AMISS = {
    "no rate": ("optimizer: sgd", ":8: methods.sgd: 'lr' is missing: the rate, or a list of rates"),
    "no rate for the fixed one": ("optimizer: sgd, controller: fixed", ":8: methods.sgd: 'lr' is missing"),
    "a schedule": ("optimizer: sgd, controller: metalr, schedule: cosine", ":8: methods.sgd: controller 'metalr' sets the rate of every step itself: remove 'schedule'"),
    "a warm-up": ("optimizer: sgd, controller: prior, warmup_fraction: 0.1", "controller 'prior' sets the rate of every step itself: remove 'warmup_fraction'"),
    "a setting of a schedule": ("optimizer: sgd, controller: lr-finder, peak_fraction: 0.1", "sets the rate of every step itself: remove 'peak_fraction'"),
    "no rates at all": ("optimizer: sgd, controller: metalr, lr: []", ":8: methods.sgd.lr: expected at least one entry"),
    "an unknown one": ("optimizer: sgd, controller: metlr", ":8: methods.sgd.controller: unknown controller 'metlr'; did you mean 'metalr'?"),
    "several": ("optimizer: sgd, controller: [metalr, prior]", ":8: methods.sgd.controller: expected text, not ['metalr', 'prior']"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "line"), CONTROLLERS_AMISS.values(), ids=CONTROLLERS_AMISS)
def test_a_mistake_beside_a_controller_is_one_line(write_study, settings, line):
    with pytest.raises(UserError) as error:
        load_study(write_study(with_method(settings)))
    assert line in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def hyperparameters(write_study, text):
    trial = expanded(write_study(SMALL_STUDY.replace("momentum: 0.9", text)))[0].trial
    return trial.hyperparameters, trial.trial_id


def test_averaging_that_is_off_is_no_setting(write_study):
    silent, same = (
        hyperparameters(write_study, text)
        for text in ("nesterov: false", "nesterov: false, averaging: false")
    )
    assert silent == same
    assert "averaging" not in silent[0]
    on, trial_id = hyperparameters(write_study, "nesterov: false, averaging: true")
    assert on == silent[0] | {"averaging": True}
    assert trial_id != silent[1]


def test_averages_are_not_averaged_again(write_study, monkeypatch):
    twice = "optimizer: schedulefree.SGDScheduleFree, lr: 1, averaging: true}"
    text = SMALL_STUDY.replace("optimizer: sgd, lr: [1e-3, 1e-2], momentum: 0.9}", twice)
    line = (
        r":8: methods.sgd: optimizer 'schedulefree.SGDScheduleFree' averages weights itself: remove"
    )
    with pytest.raises(UserError, match=line):
        load_study(write_study(text))
    load_study(write_study(text.replace("true", "false")))
    averages = CONTROLLERS["fixed"]._replace(averages=True)
    monkeypatch.setattr(method_choice, "CONTROLLERS", {"fixed": averages})
    with pytest.raises(UserError, match="controller 'fixed' averages weights itself: remove"):
        load_study(write_study(SMALL_STUDY.replace("momentum: 0.9", "averaging: true")))


def test_averaging_may_be_searched(write_study):
    text = SMALL_STUDY + (
        "searches:\n"
        "  wide:\n"
        "    optimizer: sgd\n"
        "    space: {lr: {log_uniform: [1e-3, 1]}, averaging: {choice: [false, true]}}\n"
        "    samplers: random\n"
        "    trials: 8\n"
    )
    study = load_study(write_study(text)).study
    search = expand_searches(study, without_data(study))[0]
    off, on = (search.make_trial({"lr": 0.1, "averaging": value}) for value in (False, True))
    assert "averaging" not in off.hyperparameters
    assert on.hyperparameters["averaging"] is True
    path = write_study(
        text.replace("optimizer: sgd\n", "optimizer: schedulefree.SGDScheduleFree\n")
    )
    with pytest.raises(
        UserError, match=r"searches.wide: space: optimizer .* averages weights itself"
    ):
        load_study(path)


def test_a_preset_is_written_out_and_fixes_everything(write_study):
    head = SMALL_STUDY.split("methods:")[0]
    path = write_study(f"{head}methods:\n  bar: {{preset: algoperf-nadamw-linear}}\n")
    item = expanded(path)[0]
    assert item.method == "bar"
    assert (item.trial.optimizer, item.trial.schedule) == ("nadamw", "linear")
    assert item.trial.hyperparameters == {
        "lr": 1.7486e-3, "betas": [0.93266, 0.99552], "weight_decay": 0.08122,
        "warmup_fraction": 0.02,
    }  # fmt: skip
    for settings, line in (
        ("preset: algoperf-nadamw-linear, lr: 1", "fixes every setting: remove 'lr'"),
        ("preset: algoperf-nadamw", "unknown preset 'algoperf-nadamw'; did you mean 'algoperf-"),
    ):
        path = write_study(f"{head}methods:\n  bar: {{{settings}}}\n")
        with pytest.raises(UserError, match=line):
            load_study(path)


def test_settings_of_a_schedule_belong_to_it(write_study):
    def settings(text):
        path = write_study(SMALL_STUDY.replace("momentum: 0.9", text))
        return expanded(path)[0].trial.hyperparameters

    given = settings("schedule: reduce-on-plateau, plateau_patience: 2")
    assert (given["plateau_factor"], given["plateau_patience"]) == (0.1, 2.0)
    for text, line in (
        ("plateau_patience: 2", "'plateau_patience' belongs to schedule 'reduce-on-plateau'"),
        ("schedule: one-cycle, peak_fraction: 1.5", "'peak_fraction' takes a number from 0 to"),
        ("schedule: reduce-on-plateau, plateau_patience: 0.5", "takes a whole number of at least"),
    ):
        with pytest.raises(UserError, match=line):
            settings(text)
