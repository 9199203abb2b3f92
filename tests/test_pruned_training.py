"""Pruned trials: they end where they fall short, and are charged for what was done."""

import math

import pytest

from tests.small_training import through_a_file
from tests.trainings import run
from tune_metalr.trial import Status

SLOW = {"epochs": 5, "hyperparameters": {"lr": 1e-3, "momentum": 0.9}}


def test_a_trial_that_falls_short_is_pruned_at_that_epoch_and_charged(start) -> None:
    plain = run(start(**SLOW))
    outcome = run(start(**SLOW, minimum_accuracies=(0.0, None, 0.99, 0.0)))
    assert outcome["status"] is Status.PRUNED
    assert outcome["epochs_done"] == 3
    assert outcome["validation_accuracy_curve"] == plain["validation_accuracy_curve"][:3]
    assert outcome["train_loss_curve_nats"] == plain["train_loss_curve_nats"][:3]
    assert outcome["gradient_evaluations"] == outcome["steps"] == 3 * 4
    for name in ("validation_accuracy", "validation_loss_nats", "test_accuracy", "test_loss_nats"):
        assert outcome[name] is None
    last = outcome["validation_accuracy_curve"][-1]
    assert outcome["error"] == f"validation accuracy {last:.4g} after epoch 3 was below 0.99"


@pytest.mark.parametrize("minima", [None, (0.0,) * 4, (None, 0.01, None, None)])
def test_a_trial_that_does_not_fall_short_is_as_if_nothing_were_asked(start, minima) -> None:
    assert run(start(**SLOW, minimum_accuracies=minima)) == run(start(**SLOW))


def test_what_is_just_reached_is_reached(start) -> None:
    curve = run(start(**SLOW))["validation_accuracy_curve"]
    # A trial's identity keeps 8 digits; what a search asks has fewer.
    asked = tuple(math.floor(accuracy * 1e6) / 1e6 for accuracy in curve[:4])
    assert run(start(**SLOW, minimum_accuracies=asked))["status"] is Status.COMPLETED


def test_nothing_is_asked_after_the_last_epoch(start) -> None:
    trial = SLOW | {"epochs": 2}
    assert run(start(**trial, minimum_accuracies=(0.0,)))["status"] is Status.COMPLETED


def test_a_trial_that_diverges_is_not_called_pruned(start) -> None:
    outcome = run(
        start(epochs=3, hyperparameters={"lr": 1e6}, minimum_accuracies=(0.99, 0.99)),
    )
    assert outcome["status"] is Status.DIVERGED


@pytest.mark.parametrize("pruned_at", [3, 4])
def test_a_trial_is_pruned_the_same_whole_and_resumed(start, pruned_at) -> None:
    minima = tuple(0.99 if epoch == pruned_at else 0.0 for epoch in range(1, 5))
    changes = SLOW | {"minimum_accuracies": minima}
    whole = run(start(**changes))
    assert whole["epochs_done"] == pruned_at
    for epochs in range(1, pruned_at + 1):
        first = start(**changes)
        for _ in range(epochs):
            first.run_epoch()
        second = start(**changes)
        second.load_state_dict(through_a_file(first.state_dict()))
        assert run(second) == whole
