"""Runs one trial in this process: resume, train, checkpoint, write the outcome.

It knows no ray: the pool calls it in its actors, and tests call it directly.
"""

import torch

from tune_metalr.attempts import Attempt, attempt
from tune_metalr.checkpoints import Checkpoints, Interval, files_of
from tune_metalr.errors import UserError
from tune_metalr.import_path import look_in
from tune_metalr.inheritance import Inheritance, packed, unpacked
from tune_metalr.ledger import Ledger
from tune_metalr.provenance import code, provenance
from tune_metalr.training import Training
from tune_metalr.trial import Status, Trial, failed_outcome, identity_columns
from tune_metalr.work_order import WorkOrder
from tune_metalr.workloads.places import places_here
from tune_metalr.workloads.task import Task


def prepare_process() -> None:
    """Take numbers below the normal range of a float for 0, in this process from now on.

    A recurrent network whose weights decay to nothing is full of them, and each costs a processor
    ten times an ordinary one or more. What they are added to does not notice. Torch's own threads
    do as the one that begins them, so this comes before any of them.
    """
    torch.set_flush_denormal(True)


def run_trial(trial: Trial, method: str, order: WorkOrder) -> Status:
    """Run a trial to its end and record its outcome.

    A Python exception of the trial itself is an outcome, `failed`. Errors of the machine, such
    as a full disk or missing data, are raised: the trial is not to blame.
    """
    if order.code and (difference := code().difference_from(order.code)):
        raise UserError(f"{difference}: all nodes need the same")
    look_in(order.import_folder)
    places = places_here(order.places)
    ledger = Ledger(order.results)
    checkpoints = Checkpoints(ledger.unfinished)
    # An earlier worker may have been lost between its last write and its report.
    if (recorded := ledger.result_of(trial.trial_id)) is not None:
        checkpoints.remove(trial.trial_id)
        return recorded
    state = checkpoints.load(trial.trial_id)
    inheritance = Inheritance(Checkpoints(ledger.kept), places)
    with attempt(ledger.unfinished, files_of(trial.trial_id).attempts) as living:
        training: Training | None = None
        seconds_again = 0.0
        try:
            training = Training(trial, Task(trial, places))
            if state is None:
                seconds_again = inheritance.begin(training)
            else:
                training.load_state_dict(unpacked(state))
            _train(training, Interval(order.checkpoint_seconds), checkpoints, living)
            inheritance.keep(training)
            outcome = training.finish()
        except (OSError, UserError):
            raise
        except Exception as error:
            spent = training.spent() if training else {}
            outcome = spent | failed_outcome(f"{type(error).__name__}: {error}")
        ledger.record(
            identity_columns(trial, method)
            | outcome
            | living.attempts.columns()
            | {"lost_seconds": living.attempts.lost_seconds + seconds_again}
            | _made_by(order)
            | order.columns()
            | {"gpu_model": _gpu_model(trial)}
        )
    checkpoints.remove(trial.trial_id)
    return Status(outcome["status"])


def _made_by(order: WorkOrder) -> dict[str, str | None]:
    """Return this process's provenance; the commit is the driver's where none is known here."""
    here = provenance()
    return here | {"project_commit": here["project_commit"] or order.project_commit}


def _gpu_model(trial: Trial) -> str | None:
    if trial.device is None or not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_name()


def _train(
    training: Training, interval: Interval, checkpoints: Checkpoints, living: Attempt
) -> None:
    while not training.is_over:
        training.run_epoch()
        if interval.is_due() and not training.is_over:
            checkpoints.save(training.trial.trial_id, packed(training))
            living.saved()
