"""`budgets` and `compare` as a user meets them."""

import numpy as np
import pytest

from tests.conftest import tune_metalr
from tests.ledgers import MadeUpLedger, made_up_trial, outcome
from tune_metalr.methods import meta_training_seconds
from tune_metalr.trial import Role, Status

LONG = "a-method-with-a-name-as-long-as-some-users-will-choose-for-theirs"


def noisy(mean, count=10, seed=0):
    return [float(value) for value in np.random.default_rng(seed).normal(mean, 0.008, count)]


@pytest.fixture
def ledger(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study", reference="adam")
    for workload in ("cifar10-cnn", "imdb-lstm"):
        ledger.add_method("adam", noisy(0.58), workload=workload)
        ledger.add_method("metalr", [*noisy(0.6, 9, 1), Status.DIVERGED], workload=workload)
        search = [float(v) for v in np.random.default_rng(2).uniform(0.2, 0.62, 64)]
        ledger.add_search("adamw", search, workload=workload)
        for repeat in range(3):
            ledger.add_search("adamw", search[:16], sampler="tpe", repeat=repeat, workload=workload)
    return ledger


def lines(*arguments):
    result = tune_metalr(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    printed = result.stdout.splitlines()
    # Folders are told in one piece, so that they can be copied.
    assert max(len(line) for line in printed if "/" not in line) <= 100
    return printed


def test_budgets_are_told_for_each_pair(ledger):
    output = "\n".join(lines("budgets", ledger.finish()))
    assert "9 of 10" in output
    assert "diverged" in output
    assert "cifar10-cnn: tuning until the baseline has caught up" in output
    assert "adamw random" in output
    assert "never within 16" in output
    assert "'adamw tpe': brackets are the range over 3 repeats" in output
    assert "* Less than half of what is selected there was run again" in output


def test_one_method_can_be_asked_for(ledger):
    output = "\n".join(lines("budgets", ledger.finish(), "--method", "metalr"))
    tables = output[output.index("caught up") :]
    assert "metalr  adamw random" in tables
    assert "adam    adamw" not in tables


def test_training_of_a_method_is_told_and_after_how_many_tasks_it_has_paid(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study", reference="adam")
    ledger.add_method("adam", noisy(0.58))
    ledger.add_method("ours", noisy(0.6, seed=1), controller="metalr")
    ledger.add_search("adamw", [float(v) for v in np.linspace(0.2, 0.62, 64)])
    output = " ".join(lines("budgets", ledger.finish()))
    hours = meta_training_seconds("metalr") / 3600
    assert f"'ours' was itself trained, once, for {hours:.2f} " in output
    assert "Tasks after which that has paid:" in output
    assert "against 'adamw random': " in output
    assert "'adam' was itself trained" not in output


def test_a_controller_of_another_version_is_no_mistake(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study", reference="adam")
    ledger.add_method("adam", noisy(0.58), controller="of-a-later-version")
    ledger.add_search("adamw", [float(v) for v in np.linspace(0.2, 0.62, 64)])
    assert "was itself trained" not in " ".join(lines("budgets", ledger.finish()))


def test_methods_are_compared_with_the_reference(ledger):
    output = "\n".join(lines("compare", ledger.finish()))
    assert "Against 'adam', paired by seed" in output
    assert "undecided" in output
    assert "2 runs have no score" in output
    assert "interquartile mean" in output
    other = "\n".join(lines("compare", ledger.root, "--reference", "metalr", "--margin", "0.05"))
    assert "Against 'metalr'" in other
    assert "worse by less than 5 points" in " ".join(other.split())


def test_two_ledgers_are_compared_trial_by_trial(ledger, tmp_path):
    second = MadeUpLedger(tmp_path / "second")
    second.add_method("adam", noisy(0.58), workload="cifar10-cnn", seconds=4.0)
    output = "\n".join(lines("compare", ledger.finish(), second.finish()))
    assert "B - A" in output
    assert "cifar10-cnn" in output
    assert "1.80" in output


def test_long_names_are_folded_not_cut(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    for name in ("adam", LONG):
        ledger.add_method(name, noisy(0.5), workload="a-workload-with-a-long-name-as-well")
    ledger.add_search(LONG, noisy(0.4, 64), workload="a-workload-with-a-long-name-as-well")
    folder = ledger.finish()
    for command in ("budgets", "compare"):
        printed = lines(command, folder)
        assert not any("…" in line for line in printed)


def test_names_are_text_and_not_markup(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method("adam", noisy(0.5))
    ledger.add_method("[bold]x[/]", noisy(0.5))
    folder = ledger.finish()
    assert any("[bold]x[/]" in line for line in lines("budgets", folder))
    assert any("[bold]x[/]" in line for line in lines("compare", folder))


@pytest.fixture
def designed(tmp_path):
    """Two workloads, one of them with development runs, of which some are no longer wanted."""
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method("adam", noisy(0.5), workload="imdb-lstm", purpose="evaluation")
    ledger.add_method("adam", noisy(0.5, 4))
    ledger.add_method("metalr", noisy(0.6, 4), purpose="development")
    ledger.add_search("adamw", noisy(0.4, 6), purpose="development")
    for seed in range(3):
        trial = made_up_trial(seed, method="an earlier metalr")
        ledger.ledger.record(outcome(trial, "metalr", 0.4, purpose="development"))
    return ledger.finish()


def test_every_report_ends_with_the_development_runs(designed):
    told = (
        "Development: 13 of 17 recorded trials on digits-cnn were run while a method was being "
        "designed (3 of earlier revisions of the study or its methods)."
    )
    for command in ("status", "compare", "budgets"):
        result = tune_metalr(command, designed)
        assert result.stdout.splitlines()[-1] == told, command
    both = tune_metalr("compare", designed, designed).stdout.splitlines()
    assert both[-2:] == [f"A: {told}", f"B: {told}"]


def test_reports_without_development_runs_do_not_speak_of_them(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    for method in ("adam", "sgd"):
        ledger.add_method(method, [0.5, 0.6], purpose="evaluation")
    folder = ledger.finish()
    for command in ("status", "compare", "budgets"):
        assert "Development" not in tune_metalr(command, folder).stdout


def test_an_empty_study_says_so(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method("adam", [None, None])
    ledger.add_method("sgd", [None, None])
    folder = ledger.finish()
    budgets, compare = ("\n".join(lines(command, folder)) for command in ("budgets", "compare"))
    assert "0 of 2" in budgets
    assert "no common seed" in compare
    assert "2 pairs lack a run" in compare


def test_one_seed_is_told_to_be_one(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_method("adam", [0.5])
    ledger.add_method("sgd", [0.6])
    ledger.add_search("adamw", noisy(0.4, 64))
    folder = ledger.finish()
    assert "[one run]" in "\n".join(lines("budgets", folder))
    compare = "\n".join(lines("compare", folder))
    assert "[one run]" in compare
    assert "1 of 1 comparisons have fewer than 6 pairs" in compare


def test_finals_stand_beside_methods_and_are_not_compared(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    for method in ("adam", "sgd"):
        ledger.add_method(method, noisy(0.5))
    for rate in (0.1, 0.2):
        ledger.add("adamw", 0, 0.6, role=Role.FINAL, rate=rate)
    folder = ledger.finish()
    assert any("adamw (final)" in line for line in lines("budgets", folder))
    assert not any("adamw" in line for line in lines("compare", folder))


def test_a_record_that_is_unknown_is_one_line(ledger):
    folder = ledger.finish()
    (folder / "run.json").write_text('{"command": [], "analysis": {"later": 1}}')
    result = tune_metalr("compare", folder)
    assert result.returncode == 2
    assert "unknown to this version" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_searches_alone_have_nothing_to_match(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add("adamw", 0, 0.5, role=Role.SEARCH)
    ledger.add_search("adamw", noisy(0.4, 64))
    folder = ledger.finish()
    assert "No budget to match" in "\n".join(lines("budgets", folder))
    result = tune_metalr("compare", folder)
    assert result.returncode == 2
    assert "no methods to compare" in result.stderr


def test_searches_without_a_winner_yet_are_no_mistake(tmp_path):
    ledger = MadeUpLedger(tmp_path / "study")
    ledger.add_search("adamw", noisy(0.4, 6), sampler="tpe")
    text = "\n".join(lines("budgets", ledger.finish()))
    assert "Too small for a claim: 0 of 10 seeds; 1 of 10 repeats of 'adamw tpe'." in text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["budgets", "{results}", "--method", "adm"], "unknown method 'adm'; did you mean 'adam'?"),
        (["compare", "{results}", "--reference", "adm"], "did you mean 'adam'?"),
        (["compare", "{results}", "--margin", "0"], "margin must lie between 0 and 1"),
        (["compare", "{results}", "{results}", "--margin", "0.1"], "are for one ledger"),
        (["compare", "{results}", "nowhere"], "nowhere holds no results"),
        (["budgets", "nowhere"], "nowhere holds no results"),
    ],
)
def test_mistakes_are_one_line(ledger, arguments, line):
    folder = str(ledger.finish())
    result = tune_metalr(*(argument.format(results=folder) for argument in arguments))
    assert result.returncode == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
