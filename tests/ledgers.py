"""Ledgers of made-up results, for what reads them."""

from pathlib import Path

import numpy as np

from tune_metalr.ledger import Ledger
from tune_metalr.trial import Role, Status, Trial, WantedTrial, identity_columns


class MadeUpLedger:
    """Trials and proposals of which a test knows everything."""

    def __init__(self, root: Path, **analysis) -> None:
        self.ledger = Ledger(root)
        self.ledger.create()
        self.root = root
        self._analysis = analysis
        self._wanted: list[WantedTrial] = []

    def add(self, method, seed, accuracy, *, role=Role.BASELINE, name=None, **changes):
        """Want a trial and record it as completed, unless `accuracy` is a status or None.

        `name` is what the study calls it, if it is not `method`.
        """
        trial = made_up_trial(seed, method=method, **_popped(changes))
        self._wanted.append(WantedTrial(trial, role, name or method, 0.8))
        if accuracy is not None:
            self.ledger.record(outcome(trial, method, accuracy, **changes))
        return trial

    def add_method(self, method, accuracies, **changes):
        for seed, accuracy in enumerate(accuracies):
            self.add(method, seed, accuracy, **changes)

    def add_search(
        self,
        search,
        accuracies,
        *,
        sampler="random",
        repeat=0,
        pruner=None,
        workload="digits-cnn",
        **changes,
    ):
        """Record a search whose trial i has rate 0.001 * (i + 1) and these accuracies."""
        search_id = f"{search}-{sampler}-{workload}-{repeat}"
        rows = []
        for index, accuracy in enumerate(accuracies):
            trial = made_up_trial(
                10_000 * (repeat + 1) + index, method=search, workload=workload,
                rate=0.001 * (index + 1) + 0.0001 * repeat,
            )  # fmt: skip
            if accuracy is not None:
                self.ledger.record(outcome(trial, search, accuracy, **changes))
            rows.append(
                {
                    "search_id": search_id, "search": search, "workload": workload,
                    "sampler": sampler, "pruner": pruner, "repeat": repeat, "index": index,
                    "parameters": "{}", "trial_id": trial.trial_id, "told_value": 0.1,
                    "state": "COMPLETE",
                }
            )  # fmt: skip
        self.ledger.record_proposals(search_id, rows)
        return rows

    def finish(self):
        """Record what is wanted; return the folder."""
        command = ["tune-metalr", "run", "study.yaml"]
        self.ledger.write_study("name: study\n", self._wanted, command, analysis=self._analysis)
        self.ledger.compact()
        return self.root


def made_up_trial(seed, *, method="sgd", workload="digits-cnn", rate=0.1, epochs=4):
    return Trial(
        workload=workload, workload_settings={"source": {"num_classes": 10}}, data_version="v",
        optimizer="sgd", schedule="constant", controller="fixed",
        hyperparameters={"lr": rate, "of": method}, method_revision="1-1-1", seed=seed,
        epochs=epochs, batch_size=64, train_examples=None, precision="float32", threads=1,
    )  # fmt: skip


def outcome(
    trial, method, accuracy, *, validation=None, cost=40, seconds=2.0, curve=None, **columns
):
    """Return a trial's row: completed with this accuracy, or of this status."""
    row = identity_columns(trial, method) | {
        "status": Status.COMPLETED, "steps": cost, "gradient_evaluations": cost,
        "epochs_done": trial.epochs, "train_seconds": seconds, "evaluation_seconds": 0.5,
        "probe_seconds": 0.0, "lost_seconds": 0.0, "epoch_seconds": [seconds / 4] * 4,
    }  # fmt: skip
    if isinstance(accuracy, Status):
        return row | {"status": accuracy, "validation_accuracy_curve": [0.1]} | columns
    validation = accuracy if validation is None else validation
    return row | {
        "test_accuracy": accuracy,
        "validation_accuracy": validation,
        "validation_loss_nats": 1 - validation,
        "validation_accuracy_curve": list(np.linspace(0.1, validation, 4)) if curve is None else curve,
    } | columns  # fmt: skip


def _popped(changes):
    names = ("workload", "rate", "epochs")
    return {name: changes.pop(name) for name in names if name in changes}
