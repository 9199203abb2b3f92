import io

import pytest
from rich.console import Console

from analysis.stats import seeds_needed
from tune_metalr.cli_tables import print_plan
from tune_metalr.expansion import expand, expand_searches
from tune_metalr.plan import (
    _decides_duration,
    num_comparisons,
    num_pairs,
    plan_study,
    smallest_p_value,
)
from tune_metalr.study_file import load_study
from tune_metalr.workloads import WORKLOADS
from tune_metalr.workloads.cache import make_ready


def test_the_smallest_p_value_is_that_of_all_signs_alike():
    # 10 paired seeds: 2 of 1,024 sign patterns; Holm's first step multiplies by the family.
    assert smallest_p_value(10, 1) == pytest.approx(2 / 1024)
    assert smallest_p_value(10, 4) == pytest.approx(8 / 1024)
    assert smallest_p_value(3, 12) == 1.0
    assert smallest_p_value(5, 0) == pytest.approx(1 / 16)


@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("comparisons", [1, 3, 45])
def test_the_seeds_that_a_comparison_needs_are_those_that_the_plan_calls_enough(comparisons, alpha):
    needed = seeds_needed(comparisons, alpha)
    assert (
        smallest_p_value(needed, comparisons) <= alpha < smallest_p_value(needed - 1, comparisons)
    )


def test_the_family_is_the_workloads_or_the_whole_studys(write_study):
    text = (
        "name: s\nworkloads: [digits-cnn, mnist-cnn]\nepochs: 1\nseeds: 5\n"
        "methods: {sgd: {optimizer: sgd, lr: [1, 2, 3]}}\nanalysis: {family: %s}\n"
    )
    assert num_comparisons(load_study(write_study(text % "study")).study) == 4
    assert num_comparisons(load_study(write_study(text % "workload")).study) == 2


def test_a_plan_adds_up(study_path, places):
    study = load_study(study_path).study
    ready = make_ready(WORKLOADS["digits-cnn"], places)
    plan = plan_study(study, expand(study, {"digits-cnn": ready}), [], places, cpus=2)
    assert plan.trials_by_role == {"baseline": 6}
    assert plan.gradient_steps == 6 * 2 * 2
    assert plan.slots == 2
    assert 0 < plan.hours < 0.1


def test_a_plan_says_when_its_runs_are_development(write_study, places) -> None:
    text = (
        "name: s\npurpose: development\nworkloads: [{name: digits-cnn, train_examples: 128}]\n"
        "epochs: 1\nseeds: 10\nmethods: {sgd: {optimizer: sgd, lr: 0.1}}\n"
    )
    study = load_study(write_study(text)).study
    ready = {"digits-cnn": make_ready(WORKLOADS["digits-cnn"], places)}
    (note,) = plan_study(study, expand(study, ready), [], places, cpus=1).notes
    assert note.startswith("Development: these runs will be marked")


def test_a_plan_rests_on_the_pairs_that_there_are(write_study) -> None:
    text = (
        "name: s\nworkloads: [digits-cnn]\nepochs: 1\nseeds: 10\n"
        "methods:\n  few: {optimizer: sgd, lr: 1, seeds: 4}\n  sgd: {optimizer: sgd, lr: [2, 3]}\n"
        "  many: {optimizer: sgd, lr: 4, seeds: 40}\n"
    )
    assert num_pairs(load_study(write_study(text)).study) == (4, 4)
    told = text.replace("seeds: 4}", "seeds: 20}") + "analysis: {reference: sgd-3}\n"
    assert num_pairs(load_study(write_study(told)).study) == (10, 10)
    told = text.replace("seeds: 4}", "seeds: 40}")
    assert num_pairs(load_study(write_study(told)).study) == (10, 40)


def test_a_plan_tells_what_few_and_what_many_pairs_can_show(write_study, places) -> None:
    text = (
        "name: s\nworkloads: [{name: digits-cnn, train_examples: 128}]\nepochs: 1\nseeds: 10\n"
        "methods:\n  a: {optimizer: sgd, lr: 1, seeds: 20}\n  b: {optimizer: sgd, lr: 2}\n"
        "  c: {optimizer: sgd, lr: 3, seeds: 20}\n"
        "searches:\n  wide: {optimizer: sgd, space: {lr: {uniform: [0.1, 1]}}, samplers: random,"
        " trials: 4, seeds: [30, 31]}\n"
    )
    study = load_study(write_study(text)).study
    ready = {"digits-cnn": make_ready(WORKLOADS["digits-cnn"], places)}
    searches = expand_searches(study, ready)
    plan = plan_study(study, expand(study, ready), searches, places, cpus=1)
    assert plan.num_pairs == (10, 20)  # winners are paired with nothing
    assert plan.notes == ["Too small for a claim: 2 of 10 seeds."]
    console = Console(file=io.StringIO(), width=80)
    print_plan(plan, console)
    told = console.file.getvalue()
    assert "10 paired seeds can reach over 2 comparisons (sign-flip test, Holm): 0.0039; " in told
    assert "that 20 can reach: 3.8e-06" in told


def test_each_controller_is_timed(study_path, make_trial):
    first, second = (make_trial(controller=name) for name in ("fixed", "metalr"))
    assert _decides_duration(first) != _decides_duration(second)
    assert _decides_duration(first) == _decides_duration(make_trial(seed=1))


def test_a_plan_counts_every_search_and_its_winners(write_study, places) -> None:
    text = (
        "name: s\nworkloads: [{name: digits-cnn, train_examples: 128}]\nepochs: 2\nseeds: 3\n"
        "searches:\n"
        "  wide:\n"
        "    lr: 0.01\n"
        "    space: {optimizer: {choice: [sgd, adam]}, weight_decay: {uniform: [0, 1]}}\n"
        "    samplers: [random, cmaes, grid]\n"
        "    grid: 5\n"
        "    trials: 9\n"
        "    repeats: 2\n"
        "    finals: 2\n"
    )
    study = load_study(write_study(text)).study
    ready = {"digits-cnn": make_ready(WORKLOADS["digits-cnn"], places)}
    searches = expand_searches(study, ready)
    plan = plan_study(study, expand(study, ready), searches, places, cpus=1)
    assert plan.trials_by_role == {"search": 2 * 3 * 9, "final": 2 * 3 * 2 * 3}
    assert plan.gradient_steps == (54 + 36) * 2 * 2
    assert plan.notes == [
        "wide cmaes: cmaes draws optimizer at random",
        "wide grid: 9 of the grid's 10 points, drawn at random",
        "Too small for a claim: 3 of 10 seeds; 2 of 10 repeats of 'wide cmaes', 'wide grid'.",
    ]
