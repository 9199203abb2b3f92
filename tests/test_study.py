"""Study files: what they mean, and one clear line for each mistake."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.conftest import REPOSITORY, SMALL_STUDY, expanded, without_data
from tune_metalr.errors import UserError
from tune_metalr.expansion import expand, expand_searches
from tune_metalr.study import Study
from tune_metalr.study_file import load_study
from tune_metalr.trial import Purpose

STUDIES = sorted((REPOSITORY / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_expands_the_same_twice(path):
    study = load_study(path).study
    first = expand(study, without_data(study))
    assert study.name == path.stem
    assert first == expanded(path)
    assert len({item.trial.trial_id for item in first}) == len(first)
    searches = expand_searches(study, without_data(study))
    assert len({search.search_id for search in searches}) == len(searches)
    assert first or searches


def test_the_quick_start_is_what_its_issue_says():
    wanted = expanded(REPOSITORY / "studies/quickstart.yaml")
    methods = {item.method: item.trial for item in wanted}
    sgd = ["sgd-0.0001", "sgd-0.001", "sgd-0.01"]
    assert list(methods) == [*sgd, "adam", "rmsprop", "metalr", "online-mlp"]
    assert [methods[name].hyperparameters["lr"] for name in [*sgd, "adam", "rmsprop"]] == [
        1e-4,
        1e-3,
        1e-2,
        1e-3,
        1e-3,
    ]
    study = load_study(REPOSITORY / "studies/quickstart.yaml").study
    searches = expand_searches(study, without_data(study))
    assert [(search.sampler, search.trials) for search in searches] == [("random", 16), ("tpe", 16)]
    assert study.purpose == "development"  # the prior was fitted to digits
    assert {item.trial.seed for item in wanted} == set(range(10))


def test_trials_come_seed_by_seed_so_that_a_part_of_them_is_balanced(study_path):
    wanted = expanded(study_path)
    assert [item.trial.seed for item in wanted] == [0, 0, 1, 1, 2, 2]


def test_numbers_may_be_written_as_yaml_reads_them_as_text(write_study):
    text = SMALL_STUDY.replace("0.9}", "9e-1, weight_decay: 1e-4, clip_norm: 1e0}")
    trial = expanded(write_study(text))[0].trial
    assert trial.hyperparameters == {
        "lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4, "clip_norm": 1.0, "warmup_fraction": 0.0,
    }  # fmt: skip


def test_an_entry_changes_its_workload_alone(write_study):
    text = SMALL_STUDY.replace(
        "epochs: 2", "  - {name: mnist-cnn, epochs: 7, target: 0.5}\nepochs: 2"
    )
    trials = {item.trial.workload: item for item in expanded(write_study(text))}
    assert trials["digits-cnn"].trial.epochs == 2
    assert trials["digits-cnn"].trial.train_examples == 128
    assert trials["mnist-cnn"].trial.epochs == 7
    assert trials["mnist-cnn"].trial.train_examples is None
    assert trials["mnist-cnn"].target_accuracy == 0.5


def test_neither_names_nor_targets_nor_purpose_decide_what_a_trial_is(write_study):
    ids = [
        {item.trial.trial_id for item in expanded(write_study(text))}
        for text in (
            SMALL_STUDY,
            SMALL_STUDY.replace("name: small", "name: other").replace("sgd:", "plain:"),
            SMALL_STUDY.replace("train_examples: 128", "train_examples: 128\n    target: 0.3"),
            f"purpose: development\n{SMALL_STUDY}",
        )
    ]
    assert ids[0] == ids[1] == ids[2] == ids[3]


def test_a_study_is_an_evaluation_unless_it_says_otherwise(write_study):
    assert load_study(write_study(SMALL_STUDY)).study.purpose is Purpose.EVALUATION
    study = load_study(write_study(f"purpose: development\n{SMALL_STUDY}")).study
    assert study.purpose is Purpose.DEVELOPMENT


def test_seeds_may_be_listed(write_study):
    text = SMALL_STUDY.replace("seeds: 3", "seeds: [5, 3]")
    assert load_study(write_study(text)).study.seeds == (5, 3)


OWN_SEEDS = """
name: own
workloads: [digits-cnn, {name: mnist-cnn, seeds: 2}]
epochs: 1
seeds: 3
methods:
  sgd: {optimizer: sgd, lr: 0.1}
  more: {optimizer: sgd, lr: 0.2, seeds: 5}
  fewer: {preset: algoperf-nadamw-cosine, seeds: [1]}
searches:
  wide: {optimizer: sgd, space: {lr: {uniform: [0.1, 1]}}, samplers: random, trials: 4, seeds: 4}
"""


def test_methods_and_workloads_may_have_seeds_of_their_own(write_study):
    path = write_study(OWN_SEEDS)
    seeds: dict[tuple[str, str], list[int]] = {}
    for item in expanded(path):
        seeds.setdefault((item.trial.workload, item.method), []).append(item.trial.seed)
    assert seeds == {
        ("digits-cnn", "sgd"): [0, 1, 2],
        ("digits-cnn", "more"): [0, 1, 2, 3, 4],
        ("digits-cnn", "fewer"): [1],
        ("mnist-cnn", "sgd"): [0, 1],
        ("mnist-cnn", "more"): [0, 1],
        ("mnist-cnn", "fewer"): [0, 1],
    }
    study = load_study(path).study
    searches = expand_searches(study, without_data(study))
    assert [search.seeds for search in searches] == [(0, 1, 2, 3), (0, 1)]


def test_methods_come_in_the_studys_order_whatever_their_seeds(write_study):
    text = OWN_SEEDS.replace("lr: 0.1}", "lr: 0.1, seeds: [100, 7]}")
    items = expanded(write_study(text))
    assert [item.method for item in items[:3]] == ["sgd", "more", "fewer"]
    assert [item.trial.seed for item in items[:3]] == [100, 0, 1]


def test_methods_that_differ_by_their_seeds_alone_are_the_same(write_study):
    twin = "  twin: {optimizer: sgd, lr: 0.1, seeds: [8, 9]}\nsearches:"
    with pytest.raises(UserError, match="methods 'sgd' and 'twin' are the same"):
        expanded(write_study(OWN_SEEDS.replace("searches:", twin)))


def test_seeds_are_no_part_of_a_search(write_study):
    with_own, without = (
        expand_searches(study, without_data(study))[0]
        for text in (OWN_SEEDS, OWN_SEEDS.replace(", seeds: 4}", "}"))
        for study in [load_study(write_study(text)).study]
    )
    assert (len(with_own.seeds), len(without.seeds)) == (4, 3)
    assert with_own.search_id == without.search_id
    assert with_own.definition() == without.definition()


WRONG_SEEDS = {
    "of a method": (
        ("lr: 0.2, seeds: 5", "lr: 0.2, seeds: 0"),
        ":8: methods.more.seeds: expected a count",
    ),
    "of a preset": (
        ("seeds: [1]", "seeds: [1, 1]"),
        ":9: methods.fewer.seeds: a seed is listed twice",
    ),
    "of a search": (("seeds: 4", "seeds: true"), ":11: searches.wide.seeds: expected a number"),
    "of a workload": (
        ("seeds: 2}", "seeds: []}"),
        ":3: workloads.1.seeds: expected at least one entry, not []",
    ),
}


@pytest.mark.parametrize(("change", "told"), WRONG_SEEDS.values(), ids=WRONG_SEEDS)
def test_wrong_seeds_are_told_where_they_stand(write_study, change, told):
    with pytest.raises(UserError) as error:
        load_study(write_study(OWN_SEEDS.replace(*change)))
    (line,) = str(error.value).splitlines()
    assert told in line


def test_the_number_of_seeds_is_no_part_of_a_trial(write_study):
    more = SMALL_STUDY.replace("optimizer: sgd", "seeds: 4, optimizer: sgd")
    few, many = (
        {item.trial.trial_id for item in expanded(write_study(text))}
        for text in (SMALL_STUDY, more)
    )
    assert few < many


def test_searches_and_analysis_are_typed(write_study):
    text = SMALL_STUDY + (
        "searches:\n"
        "  wide:\n"
        "    optimizer: adam\n"
        "    space: {lr: {log_uniform: [1e-5, 1e-1]}, weight_decay: {choice: [0, 1e-4]}}\n"
        "    samplers: [random, tpe]\n"
        "    trials: 64\n"
        "analysis: {reference: sgd-0.01, margin: 0.02, alpha: 0.1, family: workload}\n"
    )
    study = load_study(write_study(text)).study
    assert study.searches["wide"].space["lr"].log_uniform == (1e-5, 1e-1)
    assert study.analysis.margin == 0.02


def test_a_margin_can_differ_by_workload(write_study):
    text = SMALL_STUDY + "analysis: {margin: {digits-cnn: 5e-3}}\n"
    assert load_study(write_study(text)).study.analysis.margin == {"digits-cnn": 0.005}


def test_the_json_schema_describes_every_field():
    schema = Study.model_json_schema()
    assert set(schema["properties"]) == set(Study.model_fields)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_editors_accept_every_shipped_study(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), Study.model_json_schema())


def test_a_whole_number_and_its_float_are_the_same_setting(write_study):
    texts = (SMALL_STUDY.replace("momentum: 0.9", f"momentum: {zero}") for zero in ("0", "0.0"))
    first, second = (expanded(write_study(text)) for text in texts)
    assert first == second


MISTAKES = {
    "an unknown key": ("batch_sise: 32\n", ":9: batch_sise: unknown key; did you mean 'batch_size'?"),
    "an unknown key of an entry": (
        ("epochs: 2", "    epoch: 3\nepochs: 2"), ":5: workloads.0.epoch: unknown key; did you mean 'epochs'?"
    ),
    "an unknown workload": (("digits-cnn", "digit-cnn"), ":3: workloads.0.name: unknown workload 'digit-cnn'; did you mean 'digits-cnn'?"),
    "an unknown optimizer": (("optimizer: sgd", "optimizer: sgdd"), ":8: methods.sgd.optimizer: unknown optimizer 'sgdd'; did you mean 'sgd'?"),
    "an unknown schedule": (("momentum: 0.9", "schedule: cosin"), ":8: methods.sgd.schedule: unknown schedule 'cosin'; did you mean 'cosine'?"),
    "a keyword that the optimizer does not take": (("momentum", "momentun"), ":8: methods.sgd: optimizer 'sgd' takes no 'momentun'; did you mean 'momentum'?"),
    "a negative rate": (("1e-3,", "-1e-3,"), ":8: methods.sgd.lr.0: expected greater than 0, got '-1e-3'"),
    "a rate that is no number": (("1e-3,", "fast,"), ":8: methods.sgd.lr.0: expected a number, not 'fast'"),
    "a rate that is no float": (("1e-3,", ".inf,"), ":8: methods.sgd.lr.0: expected a finite number, got inf"),
    "no seeds": (("seeds: 3", "seeds: 0"), ":6: seeds: expected a count of at least 1, or a list of seeds, not 0"),
    "a seed twice": (("seeds: 3", "seeds: [1, 1]"), ":6: seeds: a seed is listed twice: it would be the same trial"),
    "negative epochs": (("epochs: 2", "epochs: -3"), ":5: epochs: expected greater than or equal to 1, got -3"),
    "a count that is true": (("epochs: 2", "epochs: true"), ":5: epochs: expected a number"),
    "half an epoch": (("epochs: 2", "epochs: 1.5"), ":5: epochs: expected a whole number, not 1.5"),
    "no entries": ((SMALL_STUDY.split("methods:")[1], " []\n"), ":7: methods: expected fields, such as 'name: value', not []"),
    "no rate": (("lr: [1e-3, 1e-2]", "lr: []"), ":8: methods.sgd.lr: expected at least one entry, not []"),
    "one beta": (("sgd, lr: [1e-3, 1e-2], momentum: 0.9", "adam, lr: 1, betas: 0.9"), ":8: methods.sgd: 'betas' takes two numbers from 0 to below 1, such as [0.9, 0.999], not 0.9"),
    "a flag that is a number": (("momentum: 0.9", "nesterov: 1"), ":8: methods.sgd: 'nesterov' takes true or false, not 1"),
    "nesterov alone": (("momentum: 0.9", "nesterov: true"), ":8: methods.sgd: 'nesterov' needs a 'momentum' above 0, and no 'dampening'"),
    "averaging that is a number": (("momentum: 0.9", "averaging: 1"), ":8: methods.sgd.averaging: expected true or false, not 1"),
    "an infinite momentum": (("0.9", ".inf"), ":8: methods.sgd: 'momentum' takes a number of at least 0, not inf"),
    "too many epochs": (("epochs: 2", "epochs: 1e20"), ":5: epochs: expected less than or equal to 1000000000"),
    "a seed that is true": (("seeds: 3", "seeds: [true]"), ":6: seeds.0: expected a number"),
    "a seed that is too large": (("seeds: 3", "seeds: [18446744073709551616]"), ":6: seeds.0: expected less than"),
    "a name that is markup": (("  sgd:", "  '[/b]':"), ":8: methods.[/b]"),
    "an impossible date": (("name: small", "name: 2026-13-01"), "not valid YAML: month must be in 1..12"),
    "an alias of itself": ("x: &a [*a]\n", "unknown key"),
    "deep nesting": ("x: " + "[" * 3000 + "]" * 3000 + "\n", "not valid YAML"),
    "a missing field": (("epochs: 2\n", ""), ":1: epochs: required, but not given"),
    "a name with a slash": (("name: small", "name: a/b"), ":1: name: 'a/b' may hold letters, digits, '.', '_' and '-' only"),
    "a key twice": ("epochs: 3\n", ":9: epochs is given twice"),
    "a workload twice": (("epochs: 2", "  - digits-cnn\nepochs: 2"), ":2: workloads: workload 'digits-cnn' is listed twice"),
    "tokens of an image": (("epochs: 2", "    max_tokens: 9\nepochs: 2"), ":3: workloads.0: 'digits-cnn' is no text workload: remove 'max_tokens'"),
    "a method called as a search is": ("  wide random: {optimizer: sgd, lr: 1}\nsearches:\n  wide: {optimizer: sgd, space: {lr: {uniform: [0.1, 1]}}, samplers: random, trials: 4}\n", ":1: a method and a search would both be called 'wide random'"),
    "methods of one name": ("  sgd-0.01: {optimizer: sgd, lr: 1}\n", ":1: two methods would both be called 'sgd-0.01'"),
    "an unknown reference": ("analysis: {reference: adm}\n", ":9: analysis.reference: unknown method 'adm'; known: sgd-0.001, sgd-0.01"),
    "a margin of no size": ("analysis: {margin: 2}\n", ":9: analysis.margin: expected a number between 0 and 1, or one for each workload, not 2"),
    "a margin that is no number": ("analysis: {margin: {digits-cnn: small}}\n", ":9: analysis.margin: expected a number, not 'small'"),
    "a margin for another workload": ("analysis: {margin: {digit-cnn: 0.1}}\n", ":9: analysis.margin: unknown workload 'digit-cnn'; did you mean 'digits-cnn'?"),
    "no margin for a workload": ("analysis: {margin: {}}\n", ":9: analysis.margin: nothing for 'digits-cnn'"),
    "a precision": ("precision: float16\n", ":9: precision: expected 'float32' or 'bfloat16', got 'float16'"),
    "a purpose": ("purpose: developing\n", ":9: purpose: expected 'evaluation' or 'development', got 'developing'"),
    "broken YAML": ("  x: [1,\n", "not valid YAML: "),
    "a tab": ("\tx: 1\n", ":9: not valid YAML: found character '\\t' that cannot start any token"),
    "no mapping": ("a list", "expected fields such as 'name: my-study'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "line"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_gets_one_line_that_says_where_and_what(write_study, change, line):
    text = SMALL_STUDY.replace(*change) if isinstance(change, tuple) else SMALL_STUDY + change
    if change == "a list":
        text = "- just\n- a list\n"
    assert text != SMALL_STUDY
    path = write_study(text)
    with pytest.raises(UserError) as error:
        load_study(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}:")
    assert line in message


def test_several_mistakes_are_told_together(write_study):
    text = SMALL_STUDY.replace("epochs: 2", "epochs: 0").replace("seeds: 3", "seeds: 0")
    with pytest.raises(UserError) as error:
        load_study(write_study(text))
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == ["epochs", "seeds"]


def test_a_field_that_is_misspelt_is_not_told_to_be_missing_too(write_study):
    with pytest.raises(UserError) as error:
        load_study(write_study(SMALL_STUDY.replace("epochs: 2", "epochz: 2")))
    assert str(error.value).endswith(":5: epochz: unknown key; did you mean 'epochs'?")
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_field_is_sought_among_those_beside_it(write_study):
    with pytest.raises(UserError) as error:
        load_study(write_study(SMALL_STUDY.replace("optimizer: sgd", "optimiser: sgd")))
    assert str(error.value).endswith("optimizer: required, but not given; is it 'optimiser'?")


def test_a_mistake_of_a_search_is_told_by_its_line_whatever_it_is_called(write_study):
    text = SMALL_STUDY.replace("epochs: 2", "epochs: 1") + (
        "searches:\n  Wide-16.b:\n    optimizer: sgd\n    space: {lr: {uniform: [0.1, 1]}}\n"
        "    samplers: random\n    pruner: median\n    trials: 8\n"
    )
    with pytest.raises(UserError) as error:
        load_study(write_study(text))
    assert ":14: searches.Wide-16.b.pruner: " in str(error.value)


def test_an_empty_file_and_a_folder_are_named(write_study, tmp_path):
    with pytest.raises(UserError, match="is empty"):
        load_study(write_study("# nothing\n"))
    with pytest.raises(UserError, match="is a folder"):
        load_study(tmp_path)
    with pytest.raises(UserError, match="no study file"):
        load_study(Path("nowhere.yaml"))
