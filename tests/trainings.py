"""What tests of the training loop share: a run to its end, without what a clock says."""

TIMES = {"epoch_seconds", "train_seconds", "evaluation_seconds", "cpu_seconds", "probe_seconds"}


def run(training):
    """Return the outcome, but for times."""
    while not training.is_over:
        training.run_epoch()
    outcome = training.finish()
    return {name: value for name, value in outcome.items() if name not in TIMES}
