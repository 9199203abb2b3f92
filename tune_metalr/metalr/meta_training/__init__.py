"""Where MetaLR comes from: small generated tasks, a grid of runs on them, and what is learned.

    tune-metalr meta-train DIR

None of it runs during a user's training. No task shares data with the workloads that methods are
compared on.
"""
