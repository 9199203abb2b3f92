"""What a reader gets who runs the README's first line: the table that is published, within its intervals.

Processors round differently, and a high rate makes much of little: on another one a search may
select another of its proposals. What it proposed is the same everywhere.
"""

import pytest

from analysis.load import load_searches, load_trials
from analysis.summary import summarize
from tests.conftest import REPOSITORY, tune_metalr
from tune_metalr.trial import Role

REFERENCE = REPOSITORY / "analysis/reference/quickstart"


def scores(trials):
    return {row.method: row.score for row in summarize(trials) if row.score}


def selected(trials):
    """What each search selected, by the winner's name."""
    finals = trials[trials.role == Role.FINAL]
    return finals.groupby("method").hyperparameters.agg(set).to_dict()


def proposed(folder):
    found = load_searches(folder)
    random = found[found.sampler == "random"]
    return random.set_index("index").trial_id.to_dict()


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_quick_start_gives_the_table_that_is_published(tmp_path):
    study = REPOSITORY / "studies/quickstart.yaml"
    result = tune_metalr("run", str(study), "--results", str(tmp_path), timeout=900)
    assert result.returncode == 0, result.stderr
    ours = tmp_path / "quickstart"
    published, found = load_trials(REFERENCE), load_trials(ours)
    others = {
        name for name, choice in selected(found).items() if choice != selected(published)[name]
    }
    expected, reached = scores(published), scores(found)
    assert set(reached) == set(expected)
    for method in set(reached) - others:
        low, high = expected[method][1:]
        assert low - 1e-9 <= reached[method].estimate <= high + 1e-9, method
    assert proposed(ours) == proposed(REFERENCE)
