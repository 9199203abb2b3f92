"""Several workloads as one number: against scipy, Demsar's table, and one joint bootstrap."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.across import (
    FEWEST_BLOCKS,
    across_workloads,
    interquartile_mean,
    nemenyi_critical_difference,
    rank_methods,
)
from tests.analysis.drawn import rng

ACCURACIES = st.integers(0, 100).map(lambda percent: percent / 100)


def study(seed=0, *, methods=3, workloads=4, seeds=10):
    drawn = rng(seed)
    centres = drawn.uniform(0.3, 0.9, (1, workloads, 1))
    return centres + drawn.normal(0, 0.02, (methods, workloads, seeds))


# The interquartile mean


@pytest.mark.parametrize("count", [4, 8, 12, 40])
def test_the_interquartile_mean_is_scipys_trimmed_mean_where_four_divides_the_count(count):
    values = rng(count).normal(size=count)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_a_value_that_straddles_a_quartile_counts_with_its_part():
    # Five values: the middle half of [0, 1] covers 3/4 of the second and of the fourth fifth.
    assert interquartile_mean([0, 1, 2, 4, 100]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 4) / 2.5)
    assert interquartile_mean([0, 1, 5]) == pytest.approx((0.25 * 0 + 1 + 0.25 * 5) / 1.5)
    assert interquartile_mean([1, 3]) == pytest.approx(2)
    assert interquartile_mean([0.7]) == pytest.approx(0.7)


def test_the_interquartile_mean_is_over_all_values_of_a_table():
    table = rng().normal(size=(3, 5, 4))
    assert interquartile_mean(table) == interquartile_mean(table.ravel())


@given(st.lists(ACCURACIES, min_size=1, max_size=15), st.randoms(use_true_random=False))
def test_no_order_changes_the_interquartile_mean_and_it_moves_with_its_values(values, random):
    middle = interquartile_mean(values)
    assert interquartile_mean(random.sample(values, len(values))) == middle
    assert min(values) - 1e-12 <= middle <= max(values) + 1e-12
    moved = interquartile_mean([3 * value - 1 for value in values])
    assert moved == pytest.approx(3 * middle - 1, abs=1e-12)


@given(st.lists(ACCURACIES, min_size=1, max_size=15))
def test_a_failed_run_never_raises_the_interquartile_mean(values):
    assert interquartile_mean([*values, 0.0]) <= interquartile_mean(values) + 1e-12


def test_a_missing_score_is_refused_and_its_workload_never_dropped():
    for missing in (math.nan, -math.inf):
        with pytest.raises(ValueError, match="the scores holds"):
            interquartile_mean([0.1, missing, 0.3])
        for place in np.ndindex(2, 3, 4):
            table = np.full((2, 3, 4), 0.5)
            table[place] = missing
            with pytest.raises(ValueError, match="the scores holds"):
                across_workloads(table, rng())
        blocks = study().mean(axis=2)
        blocks = np.vstack([blocks, blocks])
        blocks[0, 0] = missing
        with pytest.raises(ValueError, match="the scores holds"):
            rank_methods(blocks)
    with pytest.raises(ValueError, match="the scores is empty"):
        interquartile_mean([])


# The joint bootstrap


def test_estimates_are_the_interquartile_means_and_their_differences():
    table = study()
    found = across_workloads(table, rng(), reference=1)
    means = [interquartile_mean(method) for method in table]
    assert [interval.estimate for interval in found.iqm] == pytest.approx(means)
    expected = [mean - means[1] for mean in means]
    differences = found.iqm_difference
    assert [interval.estimate for interval in differences] == pytest.approx(expected)
    assert differences[1] == (0, 0, 0)
    for interval in [*found.iqm, *differences]:
        assert interval.low <= interval.estimate <= interval.high


def test_seeds_are_paired_so_a_constant_lead_has_no_error():
    table = study(methods=1)
    found = across_workloads(np.concatenate([table, table + 0.01]), rng())
    assert found.iqm_difference[1] == pytest.approx((0.01, 0.01, 0.01))
    assert found.iqm[1].high - found.iqm[1].low > 0.005
    rows = rng().permutation(10)
    unpaired = np.concatenate([table, table[:, :, rows] + 0.01])
    difference = across_workloads(unpaired, rng()).iqm_difference[1]
    assert difference.high - difference.low > 0.005


def test_workloads_are_not_resampled():
    # Workloads far apart, seeds that agree: resampling workloads would give wide intervals.
    table = np.broadcast_to(np.array([0.1, 0.4, 0.7, 0.9])[None, :, None], (2, 4, 5))
    for interval in across_workloads(table, rng()).iqm:
        assert interval == pytest.approx([interval.estimate] * 3, abs=1e-12)


def test_the_intervals_are_repeatable_with_their_generator():
    table = study()
    assert across_workloads(table, rng(1)) == across_workloads(table, rng(1))
    assert across_workloads(table, rng(1)) != across_workloads(table, rng(2))


def test_the_order_of_methods_does_not_matter():
    table = study()
    found = across_workloads(table, rng())
    order = [2, 0, 1]
    shuffled = across_workloads(table[order], rng(), reference=1)
    assert shuffled.iqm == [found.iqm[method] for method in order]
    assert shuffled.iqm_difference == [found.iqm_difference[method] for method in order]


def test_swapping_two_methods_mirrors_the_difference():
    table = study(methods=2)
    difference = across_workloads(table, rng()).iqm_difference[1]
    swapped = across_workloads(table, rng(), reference=1).iqm_difference[0]
    mirrored = (-difference.estimate, -difference.high, -difference.low)
    assert swapped == pytest.approx(mirrored, abs=1e-6)


def test_an_interval_moves_and_stretches_with_its_scores():
    table = study()
    plain, changed = across_workloads(table, rng()), across_workloads(2 * table - 0.3, rng())
    for before, after in zip(plain.iqm, changed.iqm, strict=True):
        assert after == pytest.approx([2 * end - 0.3 for end in before])


def test_more_confidence_widens_and_more_seeds_narrow_an_interval():
    def width(table, confidence):
        interval = across_workloads(table, rng(), confidence=confidence).iqm_difference[1]
        return interval.high - interval.low

    assert width(study(), 0.8) < width(study(), 0.95) < width(study(), 0.99)
    assert width(study(seeds=80), 0.95) < 0.6 * width(study(seeds=10), 0.95)


def test_one_seed_is_refused():
    with pytest.raises(ValueError, match="at least two seeds"):
        across_workloads(study(seeds=1), rng())
    across_workloads(study(seeds=2, workloads=1, methods=1), rng())


def test_a_table_of_other_dimensions_is_refused():
    with pytest.raises(ValueError, match="2 dimensions instead of 3"):
        across_workloads(study().mean(axis=2), rng())
    with pytest.raises(ValueError, match="inhomogeneous"):
        across_workloads([[[0.1, 0.2], [0.3]]], rng())


# Ranks


@pytest.mark.parametrize(
    ("methods", "quantile"),
    [(2, 1.960), (3, 2.344), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.948)],
)
def test_nemenyis_quantiles_are_demsars_table(methods, quantile):
    # Without the root of two that is easily lost.
    blocks = 10
    scale = math.sqrt(methods * (methods + 1) / (6 * blocks))
    difference = nemenyi_critical_difference(methods, blocks)
    assert difference / scale == pytest.approx(quantile, abs=6e-4)


@pytest.mark.parametrize(
    ("methods", "blocks", "difference"), [(6, 3, 4.35), (7, 3, 5.20), (6, 30, 1.38)]
)
def test_the_critical_difference_is_the_published_one(methods, blocks, difference):
    found = nemenyi_critical_difference(methods, blocks)
    assert found == pytest.approx(difference, abs=0.005)


def test_the_critical_difference_falls_with_the_level():
    levels = [nemenyi_critical_difference(5, 10, alpha=alpha) for alpha in (0.01, 0.05, 0.1)]
    assert levels == sorted(levels, reverse=True)


def ordered_blocks(blocks=8):
    """Four methods that keep their order on every workload: 0.9, 0.8, 0.6, 0.5."""
    return np.array([[0.9, 0.6, 0.8, 0.5]] * blocks) - rng().uniform(0, 0.3, (blocks, 1))


def test_the_highest_score_has_rank_one():
    ranking = rank_methods(ordered_blocks())
    assert ranking.mean_ranks.tolist() == [1, 3, 2, 4]
    assert ranking.p_value == pytest.approx(stats.chi2.sf(8 * 3, 3))
    assert ranking.critical_difference == nemenyi_critical_difference(4, 8)


def test_tied_methods_share_their_rank():
    table = ordered_blocks()
    table[:, 1] = table[:, 2]
    assert rank_methods(table).mean_ranks.tolist() == [1, 2.5, 2.5, 4]


def test_friedmans_test_is_that_of_scipy():
    table = rng(2).normal(size=(9, 5))
    table[0, :2] = 0.5
    expected = stats.friedmanchisquare(*table.T).pvalue
    assert rank_methods(table).p_value == pytest.approx(expected)


def test_without_a_difference_there_is_no_critical_difference():
    noise = rng(3).normal(size=(8, 4))
    ranking = rank_methods(noise)
    assert ranking.p_value > 0.05
    assert ranking.critical_difference is None
    barely = rank_methods(noise, alpha=ranking.p_value + 1e-6)
    assert barely.critical_difference is not None


def test_methods_that_tie_everywhere_do_not_differ():
    ranking = rank_methods(np.full((6, 3), 0.7))
    assert ranking.mean_ranks.tolist() == [2, 2, 2]
    assert (ranking.p_value, ranking.critical_difference) == (1.0, None)
    separate_levels = np.repeat(np.arange(6.0)[:, None], 3, axis=1)
    assert rank_methods(separate_levels).p_value == 1.0


def test_ranks_are_not_compared_on_few_workloads_or_of_two_methods():
    rank_methods(ordered_blocks(FEWEST_BLOCKS))
    for table in (ordered_blocks(FEWEST_BLOCKS - 1), ordered_blocks(3), ordered_blocks()[:, :2]):
        methods, blocks = table.shape[1], table.shape[0]
        with pytest.raises(ValueError, match=f"ranks of {methods} methods on {blocks} workloads"):
            rank_methods(table)


@given(
    st.integers(0, 1000), st.integers(3, 5), st.integers(5, 9), st.randoms(use_true_random=False)
)
def test_no_order_of_rows_changes_a_ranking(seed, methods, blocks, random):
    table = rng(seed).integers(0, 6, (blocks, methods)) / 5
    table[0] = np.arange(methods)
    ranking = rank_methods(table)
    rows = random.sample(range(blocks), blocks)
    columns = random.sample(range(methods), methods)
    shuffled = rank_methods(table[np.ix_(rows, columns)])
    assert shuffled.mean_ranks == pytest.approx(ranking.mean_ranks[columns])
    assert shuffled.p_value == pytest.approx(ranking.p_value)
    monotone = rank_methods(np.exp(table))
    assert monotone.mean_ranks == pytest.approx(ranking.mean_ranks)
