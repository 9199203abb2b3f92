"""What figures of lines show, before anything is drawn."""

import numpy as np
import pytest

from analysis.report.lines import MOST_POINTS, LineFigure, Panel, line, thinned, with_lines


def panel(*series, **changes):
    return Panel("", "x", "y", tuple(series), **changes)


def test_a_long_line_keeps_its_ends_and_its_beginning():
    kept = thinned(2000)
    assert len(kept) <= MOST_POINTS
    assert (kept[0], kept[-1]) == (0, 1999)
    assert kept[:5].tolist() == [0, 1, 2, 3, 4]
    assert thinned(MOST_POINTS).tolist() == list(range(MOST_POINTS))


def test_a_band_without_an_end_is_no_band():
    assert line("m", [1, 2], [0.5, 0.6], low=[0.4, 0.5], high=[np.inf, np.inf]).low is None
    assert line("m", [1, 2], [0.5, 0.6], low=[0.4, 0.5]).low is None
    partly = line("m", [1, 2], [0.5, 0.6], low=[-np.inf, 0.5], high=[0.7, 0.7])
    assert np.isnan(partly.low[0])
    assert partly.low[1] == 0.5


def test_what_is_shown_of_y_is_all_lines_and_not_all_of_a_band():
    wide = line("m", [1, 2], [0.5, 0.7], low=[-5, -5], high=[9, 9])
    low, high = panel(wide, is_percent=True).y_range
    assert low == pytest.approx(0.47)
    assert high == pytest.approx(0.73)


def test_a_flat_line_has_room_around_it():
    low, high = panel(line("m", [1, 2], [0.5, 0.5])).y_range
    assert low < 0.5 < high


def test_shares_are_shown_whole_and_accuracies_within_their_bounds():
    flat = line("m", [1, 2], [0.0, 0.0])
    assert panel(flat, is_whole_share=True).y_range == (-0.02, 1.02)
    low, _ = panel(line("m", [1, 2], [0.0, 1.0]), is_percent=True).y_range
    assert low > -0.05
    assert panel(flat, is_log_y=True).y_range is None


def test_a_panel_without_lines_is_left_out():
    full = panel(line("m", [1], [1]))
    assert with_lines([panel(), full]) == (full,)


def test_a_figure_names_each_method_once():
    one, two = line("a", [1], [1]), line("b", [1], [1])
    figure = LineFigure("f", "t", (panel(one, two), panel(one)))
    assert figure.names == ["a", "b"]
