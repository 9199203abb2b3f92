"""The tables that `budgets` and `compare` print; every number in them comes from `analysis`."""
