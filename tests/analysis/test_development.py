"""Development runs: counted by workload, those that are no longer wanted included."""

from analysis.development import DevelopmentRuns, development_runs


def row(trial_id, workload, purpose):
    return {"trial_id": trial_id, "workload": workload, "purpose": purpose}


def test_runs_are_counted_by_workload():
    recorded = [
        row("a", "mnist-cnn", "development"),
        row("b", "mnist-cnn", "evaluation"),
        row("c", "cifar10-cnn", "development"),
        row("d", "cifar10-cnn", "development"),
        row("e", "imdb-lstm", "evaluation"),
    ]
    assert development_runs(recorded, current={"a", "b", "d"}) == [
        DevelopmentRuns("cifar10-cnn", recorded=2, development=2, superseded=1),
        DevelopmentRuns("mnist-cnn", recorded=2, development=1, superseded=0),
    ]


def test_a_row_that_tells_no_purpose_is_an_evaluation():
    assert development_runs([row("a", "mnist-cnn", None)], current=set()) == []
    recorded = [row("a", "mnist-cnn", None), row("b", "mnist-cnn", "development")]
    (runs,) = development_runs(recorded, current=set())
    assert (runs.recorded, runs.development, runs.superseded) == (2, 1, 1)


def test_an_empty_ledger_has_none():
    assert development_runs([], current=set()) == []
