"""Reads the ledgers of tune_metalr. Runs nothing, and needs neither torch, ray nor optuna."""
