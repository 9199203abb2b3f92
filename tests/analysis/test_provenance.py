"""Versions, costs and times of what was recorded."""

import pandas as pd
import pytest

from analysis.provenance import COLUMNS, doubtful_times, period, spent_by_role, versions


def recorded(*changes):
    base = dict.fromkeys(COLUMNS) | {
        "status": "completed", "threads": 2, "train_seconds": 3000.0, "evaluation_seconds": 500.0,
        "probe_seconds": 100.0, "lost_seconds": 0.0, "gradient_evaluations": 10,
        "forward_evaluations": 1, "role": "baseline",
    }  # fmt: skip
    rows = [base | {"trial_id": f"t{i}"} | change for i, change in enumerate(changes)]
    return pd.DataFrame(rows)


def test_mixed_versions_are_told():
    found = versions(recorded(*[{"torch_version": v} for v in ("2.13", "2.12", "2.13")]))
    torch = next(each for each in found if each.name == "torch_version")
    assert torch.values == (("2.13", 2), ("2.12", 1))
    assert torch.is_mixed
    assert not next(each for each in found if each.name == "threads").is_mixed


def test_times_of_several_processors_are_not_to_be_compared():
    slow, fast = recorded({"cpu_model": "slow"}), recorded({"cpu_model": "fast"})
    never = recorded({"cpu_model": "other", "status": None})
    (warning,) = doubtful_times(slow, fast, never)
    assert warning.startswith("Trials ran on 2 models of processor (slow, fast)")
    assert not [*doubtful_times(slow, never), *doubtful_times(recorded().reindex(columns=COLUMNS))]


@pytest.mark.parametrize(("cpu_seconds", "is_told"), [(1800.0, True), (3500.0, False)])
def test_times_on_a_busy_machine_are_told(cpu_seconds, is_told):
    times = {"cpu_seconds": cpu_seconds, "device": None, "threads": 1, "lost_seconds": 50.0}
    found = [*doubtful_times(recorded(times))]
    assert [text.startswith("Trials held their CPUs 2.0 times") for text in found] == [
        True
    ] * is_told
    assert not [
        *doubtful_times(recorded(times | {"threads": 2}), recorded(times | {"device": "cuda"}))
    ]


def test_what_was_never_run_has_no_version_and_no_cost():
    rows = recorded({}, {"status": None, "torch_version": "9"})
    assert versions(rows)[3].values == (("not recorded", 1),)
    assert spent_by_role(rows)[0].num_trials == 1


def test_a_slot_of_two_threads_costs_twice_its_hours():
    (spent,) = spent_by_role(recorded({}, {"lost_seconds": 1800.0}))
    assert spent.device_hours == pytest.approx(2 * (3600 + 3600 + 1800) / 3600)
    assert spent.lost_hours == pytest.approx(1)
    assert (spent.gradient_evaluations, spent.forward_evaluations) == (20, 2)


def test_a_trial_that_two_roles_want_is_paid_once():
    rows = recorded({"trial_id": "same"}, {"trial_id": "same", "role": "final"})
    assert [spent.role for spent in spent_by_role(rows)] == ["baseline"]


def test_the_period_is_from_the_first_begin_to_the_last_end():
    rows = recorded(
        {"started_utc": "2026-01-02", "finished_utc": "2026-01-03"},
        {"started_utc": "2026-01-01", "finished_utc": "2026-01-02"},
    )
    assert period(rows) == ("2026-01-01", "2026-01-03")
    assert period(recorded({"started_utc": None, "finished_utc": None})) is None
