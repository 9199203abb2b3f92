"""Weights that are scored but not trained: averages, and those of Schedule-Free."""

import pytest
import torch

from tests.small_training import through_a_file
from tests.trainings import run
from tune_metalr.training import Training
from tune_metalr.trial import Status
from tune_metalr.workloads.task import Task


@pytest.fixture
def start_residual(make_trial, places):
    """Begin a small residual network on the digits: it has batch normalisation."""

    def begin(**changes):
        plain = make_trial()
        settings = dict(plain.workload_settings) | {"model": "resnet"}
        fields = {"workload_settings": settings, "train_examples": 128, "epochs": 3}
        trial = make_trial(**(fields | changes))
        return Training(trial, Task(trial, places))

    return begin


AVERAGED = {"hyperparameters": {"lr": 0.1, "averaging": True}}


def test_averages_get_batch_statistics_of_their_own(start_residual):
    outcome = run(start_residual(**AVERAGED))
    assert outcome["forward_evaluations"] == 2 * 4
    plain = run(start_residual(hyperparameters={"lr": 0.1}))
    assert outcome["train_loss_curve_nats"] == plain["train_loss_curve_nats"]
    assert outcome["validation_loss_curve_nats"] != plain["validation_loss_curve_nats"]


def schedule_free():
    return {
        "optimizer": "schedulefree.AdamWScheduleFree",
        "hyperparameters": {"lr": 0.01, "warmup_steps": 2},
    }


def test_evaluation_weights_get_batch_statistics_of_their_own(start_residual):
    outcome = run(start_residual(**schedule_free()))
    assert outcome["status"] is Status.COMPLETED
    # Two batches an epoch, taken anew at each of four evaluations: three curves and the end.
    assert outcome["forward_evaluations"] == 2 * 4
    assert outcome["gradient_evaluations"] == 2 * 3
    plain = run(start_residual())
    assert plain["forward_evaluations"] == 0


def test_evaluating_schedule_free_leaves_training_as_it_was(start_residual):
    outcomes = []
    for looks in (0, 3):
        training = start_residual(**schedule_free())
        for _ in range(looks):
            training.evaluate(training._task.curve_batches())
        training.run_epoch()
        for _ in range(looks):
            training.evaluate(training._task.curve_batches())
        training.run_epoch()
        outcomes.append(training.spent()["train_loss_curve_nats"])
    assert outcomes[0] == pytest.approx(outcomes[1], rel=1e-5)


@pytest.mark.parametrize("changes", [AVERAGED, schedule_free()], ids=["averaged", "schedule-free"])
def test_a_trial_gives_the_same_bits_whole_and_resumed(start_residual, changes):
    whole = run(start_residual(**changes))
    first = start_residual(**changes)
    first.run_epoch()
    second = start_residual(**changes)
    second.load_state_dict(through_a_file(first.state_dict()))
    assert run(second) == whole


def test_the_weights_that_are_scored_are_not_those_that_train(start_residual):
    training = start_residual(**schedule_free())
    training.run_epoch()
    trained = [weight.detach().clone() for weight in training._model.parameters()]
    with training._evaluation_weights():
        scored = [weight.detach().clone() for weight in training._model.parameters()]
    after = [weight.detach() for weight in training._model.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(trained, scored, strict=True))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(trained, after, strict=True))
