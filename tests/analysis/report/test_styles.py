"""One look for each method, told apart by every eye in every light."""

from itertools import combinations

import numpy as np
import pytest

from analysis.report.styles import COLOURS, styles

WHITE, DARK = "#ffffff", "#14181d"

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)


def linear(colour):
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    xyz = np.clip(rgb, 0, 1) @ np.array(
        [[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]]
    )
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("paper", [WHITE, DARK])
def test_every_colour_stands_out(colour, paper):
    assert contrast(colour, paper) >= 3


@pytest.mark.parametrize(
    "sight", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deutan", "protan"]
)
def test_colours_differ_to_colour_blind_eyes(sight):
    seen = [lab(sight @ linear(colour)) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 20


def test_thirty_two_methods_differ_in_colour_or_dash():
    found = styles(f"m{i}" for i in range(32))
    assert len({(style.colour, style.dash) for style in found.values()}) == 32
    assert len({(style.colour, style.marker) for style in found.values()}) == 32


def test_a_method_keeps_its_place_wherever_it_comes_again():
    assert [style.place for style in styles(["a", "b", "a", "c"]).values()] == [0, 1, 2]
