"""Pages of the repository that are made from its reference ledgers; a test makes them anew."""
