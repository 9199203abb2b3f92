"""What intervals, tests and budgets hold: simulated quickly, at length, and as the table says."""

import numpy as np
import pytest
from scipy import stats

from analysis.calibration import __main__ as tables
from analysis.calibration.means import (
    INTERVALS,
    POPULATIONS,
    family_error,
    iqm_coverage,
    mean_coverage,
    non_inferiority_error,
)
from analysis.calibration.searches import SEARCH_MODELS, Design, budget_coverage, deployed_coverage
from analysis.matching import NEVER
from tests.analysis.drawn import rng
from tests.conftest import REPOSITORY

# What the project asks of its 95 % interval of the mean of ten differences.
REQUIRED = {
    "normal": 0.93,
    "bounded: uniform": 0.93,
    "bounded: beta(5, 1)": 0.93,
    "lognormal, sigma 0.75": 0.90,
    "lognormal, sigma 1": 0.90,
}
LARGEST_FAMILY_ERROR = 0.056
LEAST_BUDGET_COVERAGE = 0.90

DESIGNS = [
    ("random", Design(64)),
    ("unequal costs", Design(64, unequal_costs=True)),
    ("repeats", Design(32, repeats=10)),
]


def at_least(share, count):
    """The share of `count` below which a true `share` falls once in 100,000 times."""
    return stats.binom.ppf(1e-5, count, share) / count


def at_most(share, count):
    return stats.binom.ppf(1 - 1e-5, count, share) / count


# Quickly


@pytest.mark.parametrize("population", REQUIRED)
def test_the_chosen_interval_covers(population):
    found = mean_coverage(population, "chosen", n=10, samples=200, rng=rng())
    assert found.share >= at_least(REQUIRED[population], 200)
    assert 0 < found.median_width < 5


def test_the_simulation_tells_bad_intervals_from_good_ones():
    skewed = {
        name: mean_coverage("lognormal, sigma 1", name, n=10, samples=200, rng=rng())
        for name in INTERVALS
    }
    assert set(skewed) == {"chosen", "Student", "studentised, not widened", "BCa"}
    assert skewed["chosen"].share > skewed["Student"].share
    assert skewed["Student"].share < 0.92
    assert skewed["BCa"].share < 0.92
    assert skewed["chosen"].median_width > skewed["studentised, not widened"].median_width


def test_of_three_values_the_chosen_interval_is_students():
    chosen, student = (
        mean_coverage("normal", name, n=3, samples=100, rng=rng()) for name in ("chosen", "Student")
    )
    assert chosen == student


@pytest.mark.parametrize("population", POPULATIONS)
def test_a_population_has_the_mean_that_is_claimed(population):
    drawn = POPULATIONS[population]
    values = drawn.draw(rng(1), (200_000,))
    assert abs(values.mean() - drawn.mean) < 5 * stats.sem(values)
    assert drawn.draw(rng(), (3, 4)).shape == (3, 4)


def test_equal_methods_are_rarely_told_apart():
    error = family_error("normal", rivals=5, n=10, studies=400, rng=rng())
    assert 0 < error <= at_most(0.05, 400)


def test_with_fewer_seeds_than_holm_needs_nothing_is_ever_found():
    assert family_error("normal", rivals=5, n=7, studies=100, rng=rng()) == 0


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("n", [5, 10])
def test_a_method_that_is_worse_by_the_margin_rarely_passes(n, mirrored):
    error = non_inferiority_error("normal", n=n, mirrored=mirrored, studies=250, rng=rng())
    assert 0 < error <= at_most(0.05, 250)


def test_the_interval_across_workloads_covers():
    assert iqm_coverage(workloads=4, n=10, samples=30, rng=rng()) >= at_least(0.9, 30)


@pytest.mark.parametrize("true_budget", [3, NEVER])
@pytest.mark.parametrize(
    "design", [Design(24), Design(24, unequal_costs=True), Design(12, repeats=10)]
)
def test_the_interval_of_a_budget_covers(design, true_budget):
    found = budget_coverage("rate, with a cliff", design, true_budget, studies=20, rng=rng())
    assert found.interval >= at_least(LEAST_BUDGET_COVERAGE, 20)
    assert found.more_than >= at_least(0.9, 20)
    assert at_least(0.8, 20) <= found.band <= 1


@pytest.mark.parametrize("true_budget", [3, NEVER])
def test_the_interval_of_a_budget_covers_for_the_deployed_model(true_budget):
    share = deployed_coverage("beta(4, 2)", 24, true_budget, studies=20, rng=rng())
    assert at_least(LEAST_BUDGET_COVERAGE, 20) <= share <= 1


def test_a_design_says_how_far_its_budgets_reach():
    assert Design(64).longest == Design(64, unequal_costs=True).longest == 16
    assert Design(64, repeats=10).longest == 64


@pytest.mark.parametrize("model", SEARCH_MODELS)
def test_a_diverged_trial_is_never_selected_and_scores_at_chance(model):
    validation, test = SEARCH_MODELS[model].trials(rng(), (20, 500))
    assert validation.shape == test.shape == (20, 500)
    diverged = validation == -1
    assert (test[diverged] == 0.1).all()
    assert (validation[~diverged] > 0).all()
    # Selected on one column and read on another: they agree but for the luck of a run.
    assert np.corrcoef(validation[~diverged], test[~diverged])[0, 1] > 0.95
    assert (validation != test).any()


def test_a_simulation_is_repeatable():
    first, again, other = (
        mean_coverage("normal", "chosen", n=5, samples=20, rng=rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other
    first, again = (
        budget_coverage("beta(4, 2)", Design(8), 2, studies=5, rng=rng()) for _ in range(2)
    )
    assert first == again


# At length


@pytest.mark.heavy
@pytest.mark.parametrize("population", REQUIRED)
def test_ten_thousand_chosen_intervals_cover_as_required(population):
    found = mean_coverage(population, "chosen", n=10, samples=10_000, rng=rng(1))
    assert found.share >= REQUIRED[population]


@pytest.mark.heavy
def test_in_ten_thousand_studies_equal_methods_are_rarely_told_apart():
    error = family_error("normal", rivals=5, n=10, studies=10_000, rng=rng(1))
    assert 0.01 < error <= LARGEST_FAMILY_ERROR


@pytest.mark.heavy
@pytest.mark.parametrize("true_budget", [1, 4, NEVER])
@pytest.mark.parametrize(("name", "design"), DESIGNS)
def test_hundreds_of_budget_intervals_cover_as_required(name, design, true_budget):
    for model in ("rate, with a cliff", "beta(4, 2)"):
        found = budget_coverage(model, design, true_budget, studies=400, rng=rng(1))
        assert found.interval >= LEAST_BUDGET_COVERAGE, model
        assert found.more_than >= LEAST_BUDGET_COVERAGE, model


# As the table says


def read_tables(path):
    """Return the rows of each table of a Markdown file by its title, each a dictionary of cells."""
    found, title, columns = {}, "", None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            title, columns = line.removeprefix("## "), None
            found[title] = []
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if columns is None:
                columns = cells
            elif set("".join(cells)) != {"-"}:
                found[title].append(dict(zip(columns, cells, strict=True)))
    return found


@pytest.fixture
def published():
    return read_tables(REPOSITORY / "analysis" / "calibration" / "table.md")


def only(found, start):
    (rows,) = (rows for title, rows in found.items() if title.startswith(start))
    assert rows
    return rows


def test_the_table_says_that_the_chosen_interval_covers_as_required(published):
    rows = only(published, "Mean of n paired differences")
    assert {row["population"] for row in rows} == set(POPULATIONS)
    for population, required in REQUIRED.items():
        (row,) = (row for row in rows if (row["population"], row["n"]) == (population, "10"))
        share, _, width = row["chosen"].partition(" ")
        assert required <= float(share) <= 1
        assert float(width.strip("()")) > 0


def test_the_table_says_that_equal_methods_are_rarely_told_apart(published):
    rows = only(published, "Families")
    assert {row["population"] for row in rows} == set(POPULATIONS)
    for row in rows:
        assert float(row["3 comparisons"]) <= LARGEST_FAMILY_ERROR
        assert float(row["5 comparisons"]) <= LARGEST_FAMILY_ERROR


def test_the_table_says_that_budget_intervals_cover_as_required(published):
    budgets = [rows for title, rows in published.items() if title.startswith("Budget to match")]
    assert len(budgets) == 3
    rows = [row for table in budgets for row in table]
    assert {row["quality"] for row in rows} == set(SEARCH_MODELS)
    assert {"1", "never"} <= {row["true budget"] for row in rows}
    short = [row for row in rows if float(row["interval"]) < LEAST_BUDGET_COVERAGE]
    assert not short


@pytest.mark.heavy
def test_the_tables_are_written_as_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_SAMPLES", 10)
    monkeypatch.setattr(tables, "_STUDIES", 2)
    some = tuple(table._replace(rows=table.rows[::6]) for table in tables._TABLES)
    monkeypatch.setattr(tables, "_TABLES", some)
    tables.write_tables(tmp_path / "table.md")
    found = read_tables(tmp_path / "table.md")
    assert len(found) == 7
    means = only(found, "Mean of n paired differences")
    assert [(row["population"], row["n"]) for row in means[:2]] == [
        ("normal", "3"),
        ("bounded: uniform", "10"),
    ]
    for row in means:
        assert 0 <= float(row["chosen"].partition(" ")[0]) <= 1
        assert (row["BCa"] == "") == (row["n"] == "3")
    budgets = only(found, "Budget to match:")
    assert len(budgets) == 10
    for row in budgets:
        assert all(0 <= float(row[name]) <= 1 for name in ("interval", "more than", "band"))
    for title in ("Families", "Non-inferiority"):
        assert [row["population"] for row in only(found, title)] == ["normal"]
    assert [row["seeds"] for row in only(found, "Difference of interquartile means")] == ["5"]
