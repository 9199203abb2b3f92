"""The training loop: the same numbers always, divergence as a result, everything charged."""

import math

import pytest

from tests.small_training import through_a_file
from tests.trainings import run
from tune_metalr.training import DIVERGENCE_MULTIPLE
from tune_metalr.trial import Status
from tune_metalr.workloads.task import Task


def test_the_canary_sings_the_same_number(start):
    # Pinned: when it changes without a new revision, old and new results are mixed up.
    outcome = run(start(epochs=3, optimizer="adam", hyperparameters={"lr": 3e-3}))
    assert outcome["validation_loss_nats"] == pytest.approx(1.3035, rel=1e-3)
    assert outcome["steps"] == 12


METHODS = {
    "sgd": {},
    "adam": {"optimizer": "adam", "hyperparameters": {"lr": 1e-3, "clip_norm": 1.0}},
    "rmsprop": {"optimizer": "rmsprop", "hyperparameters": {"lr": 1e-3, "momentum": 0.5}},
    "nadamw": {"optimizer": "nadamw", "hyperparameters": {"lr": 1e-3, "betas": [0.93, 0.99]}},
    "one-cycle": {"schedule": "one-cycle", "hyperparameters": {"lr": 0.1}},
    "plateau": {
        "schedule": "reduce-on-plateau",
        "hyperparameters": {"lr": 0.5, "plateau_factor": 0.5, "plateau_patience": 0.0},
    },
    "cosine": {"schedule": "cosine", "hyperparameters": {"lr": 0.1, "warmup_fraction": 0.2}},
    "averaging": {"hyperparameters": {"lr": 0.1, "momentum": 0.9, "averaging": True}},
    "bfloat16": {"precision": "bfloat16"},
    "hypergradient": {"controller": "hypergradient", "hyperparameters": {"lr": 1e-3}},
    "online-mlp": {
        "optimizer": "adam",
        "controller": "online-mlp",
        "hyperparameters": {"lr": 1e-3, "clip_norm": 1.0},
    },
    "policy-gradient": {"controller": "policy-gradient", "hyperparameters": {"lr": 1e-3}},
    # 28 batches an epoch make 112 steps, and a range test of 11.
    "lr-finder": {
        "optimizer": "adam",
        "controller": "lr-finder",
        "batch_size": 9,
        "hyperparameters": {"lr": 1e-3},
    },
    "prior": {"optimizer": "adamw", "controller": "prior", "hyperparameters": {"lr": 1e-3}},
    "metalr": {
        "controller": "metalr",
        "hyperparameters": {"lr": 1e-3, "momentum": 0.9, "clip_norm": 1.0},
    },
}


@pytest.mark.parametrize("changes", METHODS.values(), ids=METHODS)
def test_a_trial_gives_the_same_bits_whole_and_resumed(start, changes):
    whole = run(start(epochs=4, **changes))
    first = start(epochs=4, **changes)
    first.run_epoch()
    first.run_epoch()
    state = through_a_file(first.state_dict())
    start(seed=7).run_epoch()  # another trial in the same process, as in a warm actor
    second = start(epochs=4, **changes)
    second.load_state_dict(state)
    assert second.epochs_done == 2
    assert run(second) == whole


def test_an_outcome_counts_what_was_done(start):
    outcome = run(start(epochs=2, schedule="cosine"))
    assert outcome["status"] is Status.COMPLETED
    assert outcome["epochs_done"] == 2
    assert (
        outcome["steps"] == outcome["gradient_evaluations"] == len(outcome["learning_rates"]) == 8
    )
    assert outcome["learning_rates"][0] == 0.01
    assert sorted(outcome["learning_rates"], reverse=True) == outcome["learning_rates"]
    assert len(outcome["validation_accuracy_curve"]) == 2
    curve = outcome["validation_accuracy_curve"]
    assert outcome["best_epoch"] == curve.index(max(curve)) + 1
    assert 0 < outcome["test_accuracy"] <= 1


def test_times_are_kept_apart(start):
    training = start()
    run(training)
    spent = training.spent()
    assert spent["train_seconds"] == sum(spent["epoch_seconds"]) > 0
    assert spent["evaluation_seconds"] > 0


def test_the_losses_are_means_over_examples_in_nats(start):
    # 256 examples and batches of 60: the last batch is smaller and must weigh less.
    training = start(hyperparameters={"lr": 1e-12}, batch_size=60, epochs=1)
    training.run_epoch()
    whole = start(hyperparameters={"lr": 1e-12}, batch_size=256, epochs=1)
    whole.run_epoch()
    loss, expected = (t.spent()["train_loss_curve_nats"][0] for t in (training, whole))
    assert loss == pytest.approx(expected, rel=1e-5)
    assert loss == pytest.approx(math.log(10), abs=0.1)


def test_methods_with_one_seed_start_from_the_same_loss(start):
    losses = set()
    for name in ("sgd", "adam", "rmsprop"):
        training = start(optimizer=name, hyperparameters={"lr": 1e-12}, batch_size=256, epochs=1)
        training.run_epoch()
        losses.add(training.spent()["train_loss_curve_nats"][0])
    assert len(losses) == 1


@pytest.mark.parametrize("lr", [1e6, 3.0])
def test_a_rate_far_too_high_diverges_and_has_no_score(start, lr):
    outcome = run(start(epochs=5, hyperparameters={"lr": lr, "momentum": 0.9}))
    assert outcome["status"] is Status.DIVERGED
    assert "epoch" in outcome["error"]
    assert outcome["validation_accuracy"] is outcome["test_accuracy"] is None
    assert outcome["test_loss_nats"] is outcome["validation_loss_nats"] is None
    assert outcome["epochs_done"] < 5
    assert outcome["gradient_evaluations"] == 4 * outcome["epochs_done"]
    assert all(loss is None or math.isfinite(loss) for loss in outcome["train_loss_curve_nats"])


RANGE_TEST = {"controller": "lr-finder", "batch_size": 9, "epochs": 4}


def test_what_a_range_test_does_is_no_divergence(start):
    outcome = run(start(**RANGE_TEST, hyperparameters={"lr": 0.1}))
    assert outcome["status"] is Status.COMPLETED
    first, *others = outcome["train_loss_curve_nats"]
    assert first > DIVERGENCE_MULTIPLE * math.log(10) > max(others)


def test_divergence_behind_a_range_test_is_told(start):
    training = start(**RANGE_TEST, hyperparameters={"lr": 0.1})
    training.run_epoch()
    assert not training.has_diverged
    training._controller._begin_cycle(1e6, start=28)
    assert run(training)["status"] is Status.DIVERGED


@pytest.mark.parametrize(
    ("controller", "status"), [("fixed", Status.DIVERGED), ("prior", Status.COMPLETED)]
)
def test_a_step_that_a_controller_refuses_is_no_divergence(start, monkeypatch, controller, status):
    real, calls = Task.loss, []

    def with_one_bad_batch(task, outputs, labels):
        calls.append(1)
        return real(task, outputs, labels) * (math.nan if len(calls) == 2 else 1)

    monkeypatch.setattr(Task, "loss", with_one_bad_batch)
    outcome = run(
        start(epochs=1, optimizer="adamw", controller=controller, hyperparameters={"lr": 1e-3})
    )
    assert outcome["status"] is status
    assert outcome["gradient_evaluations"] == 4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_controller_knows_how_coarse_the_loss_is(start, precision, monkeypatch):
    heard = []
    training = start(epochs=1, precision=precision)
    real = training._controller.step
    monkeypatch.setattr(
        training._controller,
        "step",
        lambda loss, closure, **given: heard.append(closure) or real(loss, closure, **given),
    )
    training.run_epoch()
    assert {closure.is_low_precision for closure in heard} == {precision == "bfloat16"}


def test_clipping_bounds_the_first_step(start):
    def first_step(clip_norm):
        training = start(
            hyperparameters={"lr": 1.0, "clip_norm": clip_norm}, batch_size=256, epochs=1
        )
        before = [weight.detach().clone() for weight in training._model.parameters()]
        training.run_epoch()
        after = [weight.detach() for weight in training._model.parameters()]
        return math.sqrt(
            sum(float(((a - b) ** 2).sum()) for a, b in zip(after, before, strict=True))
        )

    assert first_step(0.01) == pytest.approx(0.01, rel=1e-3)
    assert first_step(1e9) > 0.1


def test_the_test_split_is_scored_once_after_training(start, monkeypatch):
    scored = []
    real = Task.test_batches
    monkeypatch.setattr(Task, "test_batches", lambda task: scored.append(1) or real(task))
    training = start(epochs=3)
    while not training.is_over:
        training.run_epoch()
    assert scored == []
    training.finish()
    assert scored == [1]


def test_a_plateau_lowers_the_rate(start):
    outcome = run(
        start(
            epochs=4,
            schedule="reduce-on-plateau",
            hyperparameters={"lr": 1e-9, "plateau_factor": 0.1, "plateau_patience": 0.0},
        )
    )
    rates = outcome["learning_rates"]
    assert rates[0] == 1e-9
    assert rates[-1] == pytest.approx(1e-11)
