"""Runs one trial in this process: resume, train, checkpoint, write the outcome.

It knows no ray: the pool calls it in its actors, and tests call it directly.
"""

import io
from typing import Any

import torch

from tune_metalr.attempts import attempt
from tune_metalr.checkpoints import Checkpoints, Interval
from tune_metalr.errors import UserError
from tune_metalr.import_path import look_in
from tune_metalr.ledger import Ledger
from tune_metalr.provenance import provenance
from tune_metalr.training import Training
from tune_metalr.trial import Status, Trial, failed_outcome, identity_columns
from tune_metalr.work_order import WorkOrder
from tune_metalr.workloads.task import Task


def run_trial(trial: Trial, method: str, order: WorkOrder) -> Status:
    """Run a trial to its end and record its outcome.

    A Python exception of the trial itself is an outcome, `failed`. Errors of the machine, such
    as a full disk or missing data, are raised: the trial is not to blame.
    """
    look_in(order.import_folder)
    ledger = Ledger(order.results)
    checkpoints = Checkpoints(ledger.unfinished)
    # An earlier worker may have been lost between its last write and its report.
    if (recorded := ledger.result_of(trial.trial_id)) is not None:
        checkpoints.remove(trial.trial_id)
        return recorded
    files = checkpoints.files(trial.trial_id)
    state = checkpoints.load(trial.trial_id)
    with attempt(files.attempts, files.state) as attempts:
        training: Training | None = None
        try:
            training = Training(trial, Task(trial, order.places))
            outcome = _train(training, order, checkpoints, state)
        except (OSError, UserError):
            raise
        except Exception as error:
            spent = training.spent() if training else {}
            outcome = spent | failed_outcome(f"{type(error).__name__}: {error}")
        ledger.record(
            identity_columns(trial, method)
            | outcome
            | attempts.columns()
            | provenance()
            | {"project_commit": order.project_commit}
        )
    checkpoints.remove(trial.trial_id)
    return Status(outcome["status"])


def _train(
    training: Training, order: WorkOrder, checkpoints: Checkpoints, state: bytes | None
) -> dict[str, Any]:
    trial_id = training.trial.trial_id
    if state is not None:
        # Without pickle: a checkpoint is data, and loading it can run no code.
        training.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))
    interval = Interval(order.checkpoint_seconds)
    while not training.is_over:
        training.run_epoch()
        if interval.is_due() and not training.is_over:
            buffer = io.BytesIO()
            torch.save(training.state_dict(), buffer)
            checkpoints.save(trial_id, buffer.getvalue())
    return training.finish()
