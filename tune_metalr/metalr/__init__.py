"""MetaLR: the rate of every step, without tuning. Needs torch alone."""
