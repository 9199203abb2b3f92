"""Replayed searches are read from what `replay --csv` writes."""

import pytest

from analysis.replayed import replayed_curves
from tune_metalr.errors import UserError
from tune_metalr.replay_tables import CSV_COLUMNS


def write(path, rows):
    lines = [",".join(CSV_COLUMNS)]
    for sampler, repeat, trials, accuracy in rows:
        lines.append(f"w,{sampler},,4,4,{repeat},{trials},0.5,{accuracy},0.5,1,{10 * trials}")
    path.write_text("\n".join(lines) + "\n")


def test_curves_are_means_over_repeats(tmp_path):
    rows = [("tpe", r, t, 0.1 * r + 0.2 * t) for r in range(4) for t in (1, 2)]
    write(tmp_path / "replay.csv", rows)
    (curve,) = replayed_curves(tmp_path)
    assert (curve.label, curve.num_repeats) == ("tpe", 4)
    assert curve.mean == pytest.approx([0.35, 0.55])
    assert curve.gradient_evaluations.tolist() == [10, 20]
    assert (curve.low < curve.mean).all()


def test_without_a_file_there_are_none(tmp_path):
    assert replayed_curves(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", ",".join(CSV_COLUMNS) + "\n" + "x," * 11 + "\n"]
)
def test_another_file_of_that_name_is_named(tmp_path, text):
    (tmp_path / "replay.csv").write_text(text)
    with pytest.raises(UserError, match=r"replay\.csv"):
        replayed_curves(tmp_path)
