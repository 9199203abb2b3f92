"""Compares learning-rate methods on Ray Tune. Importing this loads neither torch nor ray."""
