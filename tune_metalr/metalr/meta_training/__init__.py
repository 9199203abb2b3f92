"""Where the prior comes from: small generated tasks, a grid of runs on them, and a fit.

    python -m tune_metalr.metalr.meta_training --out DIR

None of it runs during a user's training. No task shares data with the workloads that methods are
compared on.
"""
