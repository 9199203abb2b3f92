"""Runs one trial in this process: resume, train, checkpoint, write the outcome.

It knows no ray: the pool calls it in its actors, and tests call it directly.
"""

from tune_metalr.attempts import attempt
from tune_metalr.checkpoints import Checkpoints, Interval
from tune_metalr.errors import UserError
from tune_metalr.import_path import look_in
from tune_metalr.inheritance import Inheritance, packed, unpacked
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
    inheritance = Inheritance(Checkpoints(ledger.kept), order.places)
    with attempt(files.attempts, files.state) as attempts:
        training: Training | None = None
        seconds_again = 0.0
        try:
            training = Training(trial, Task(trial, order.places))
            if state is None:
                seconds_again = inheritance.begin(training)
            else:
                training.load_state_dict(unpacked(state))
            _train(training, order, checkpoints)
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
            | attempts.columns()
            | {"lost_seconds": attempts.lost_seconds + seconds_again}
            | provenance()
            | order.columns()
        )
    checkpoints.remove(trial.trial_id)
    return Status(outcome["status"])


def _train(training: Training, order: WorkOrder, checkpoints: Checkpoints) -> None:
    interval = Interval(order.checkpoint_seconds)
    while not training.is_over:
        training.run_epoch()
        if interval.is_due() and not training.is_over:
            checkpoints.save(training.trial.trial_id, packed(training))
