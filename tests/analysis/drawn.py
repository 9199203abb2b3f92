"""What tests of the statistics draw: numbers, scores, and searches small enough to list."""

import itertools

import numpy as np
from hypothesis import strategies as st

# The example accuracies of github.com/dodgejesse/show_your_work, plot.py.
TWENTY = [
    0.8, 0.75, 0.9, 0.24, 0.45, 0.6, 0.65, 0.67, 0.49, 0.49,
    0.59, 0.52, 0.78, 0.84, 0.63, 0.42, 0.85, 0.76, 0.68, 0.6,
]  # fmt: skip

SCORES = st.integers(0, 20).map(lambda k: k / 20)


def rng(seed=0):
    return np.random.default_rng(seed)


def trials(fewest, most=8, *, ties=True):
    """Lists of (selection, score)."""
    return st.lists(
        st.tuples(st.integers(0, 6 if ties else 1000), SCORES),
        min_size=fewest,
        max_size=most,
        unique_by=None if ties else (lambda trial: trial[0]),
    )


def columns(drawn):
    selection, score = np.array(drawn, dtype=float).reshape(-1, 2).T
    return selection, score


def by_listing(selection, score, n):
    """The mean over all subsets of n of the selected score, ties in selection averaged."""
    outcomes = []
    for subset in itertools.combinations(range(len(selection)), n):
        best = max(selection[i] for i in subset)
        selected = [score[i] for i in subset if selection[i] == best]
        outcomes.append(sum(selected) / len(selected))
    return sum(outcomes) / len(outcomes)
