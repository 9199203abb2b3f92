"""A residual learns what a feature says of the rate, and gains where it was not trained."""

import pytest

from tests.metalr.test_early import FAMILIES, LAW
from tests.metalr.test_early import outcomes as made_outcomes  # noqa: F401
from tests.metalr.test_imagined import runs  # noqa: F401
from tune_metalr.metalr.meta_training import learn
from tune_metalr.metalr.meta_training.imagined import ask
from tune_metalr.metalr.meta_training.learn import Parts, learn_residual, left_out, ranges_of
from tune_metalr.metalr.residual import HORIZON, Residual


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(learn, "GENERATIONS", 60)


def test_it_learns_to_lower_the_regret(runs) -> None:  # noqa: F811
    residual = learn_residual(runs, LAW, ["sigma"], seed=0).residual
    untrained = Residual.untrained(ranges_of(runs, LAW, ["sigma"]), seed=0)
    asked = ask(runs, LAW, untrained)
    before, after = (asked.mean_regret(asked.moves(one)) for one in (untrained, residual))
    assert after < 0.5 * before


def test_without_a_feature_nothing_is_learned(runs) -> None:  # noqa: F811
    residual, curve = learn_residual(runs, LAW, [], seed=0)
    assert ask(runs, LAW, residual).moves(residual) == [0.0] * len(runs)
    assert curve == []


def test_the_same_seed_learns_the_same(runs) -> None:  # noqa: F811
    first, second, other = (
        learn_residual(runs, LAW, ["sigma"], seed=seed).residual for seed in (0, 0, 1)
    )
    assert first.vector().tolist() == second.vector().tolist() != other.vector().tolist()


def test_luck_gains_nothing_on_families_that_were_left_out(runs) -> None:  # noqa: F811
    saved = {}
    for feature in ("sigma", "alignment"):
        for family in sorted(set(FAMILIES.values())):
            others = [run for run in runs if run.surface.task_family != family]
            residual = learn_residual(others, LAW, [feature], seed=0).residual
            left = [run for run in runs if run.surface.task_family == family]
            found = left_out(family, left, Parts(LAW, (feature,), residual))
            assert found.task_family == family
            assert len(found.prior_regrets) == len(found.residual_regrets) == len(left)
            saved[feature, family] = found.gain
    knowing, guessing = (
        sum(gain for (name, _), gain in saved.items() if name == feature)
        for feature in ("sigma", "alignment")
    )
    assert knowing > 0.1
    assert guessing < 0.5 * knowing


def test_ranges_are_what_was_seen_near_the_prior(runs) -> None:  # noqa: F811
    found = ranges_of(runs, LAW, ["sigma"])
    assert set(found) == {"sigma", HORIZON}
    assert found["sigma"].lowest < 0 < found["sigma"].highest
