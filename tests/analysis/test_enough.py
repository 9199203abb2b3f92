"""When a study is too small for a claim: by the fewest runs of a method or of a winner."""

import pytest

from analysis.enough import lack_of_runs
from analysis.load import load_searches, load_trials
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Role


@pytest.mark.parametrize(
    ("counts", "few"),
    [({"adam": 10, "winner": 10}, None), ({"adam": 40, "winner": 4}, 4), ({"adam": 3}, 3)],
)
def test_methods_and_winners_need_their_runs(tmp_path, counts, few) -> None:
    ledger = MadeUpLedger(tmp_path / "study")
    for method, count in counts.items():
        role = Role.FINAL if method == "winner" else Role.BASELINE
        ledger.add_method(method, [0.5] * count, role=role)
    ledger.add_search("wide", [0.5] * 4)
    folder = ledger.finish()
    told = lack_of_runs(load_trials(folder), load_searches(folder))
    assert told == (few and f"Too small for a claim: {few} of 10 seeds.")
