"""What a reader gets who runs the README's first line: the table that is published, within its intervals."""

import pytest

from analysis.load import load_trials
from analysis.summary import summarize
from tests.conftest import REPOSITORY, tune_metalr

REFERENCE = REPOSITORY / "analysis/reference/quickstart"


def scores(folder):
    return {row.method: row.score for row in summarize(load_trials(folder)) if row.score}


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_quick_start_gives_the_table_that_is_published(tmp_path):
    study = REPOSITORY / "studies/quickstart.yaml"
    result = tune_metalr("run", str(study), "--results", str(tmp_path), timeout=900)
    assert result.returncode == 0, result.stderr
    published, found = scores(REFERENCE), scores(tmp_path / "quickstart")
    assert set(found) == set(published)  # which search ends first is chance
    for method, score in found.items():
        low, high = published[method][1:]
        assert low - 1e-9 <= score.estimate <= high + 1e-9, method
