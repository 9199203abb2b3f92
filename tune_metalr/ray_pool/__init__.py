"""Trials on Ray Tune: the only package that imports ray, and only when a session is opened."""

from tune_metalr.ray_pool.pool import Pool, PoolEvents, PoolOptions, TrialWork, Work
from tune_metalr.ray_pool.session import RaySession, SessionOptions, set_environment
from tune_metalr.ray_pool.token import sends_token, use_token

__all__ = [
    "Pool",
    "PoolEvents",
    "PoolOptions",
    "RaySession",
    "SessionOptions",
    "TrialWork",
    "Work",
    "sends_token",
    "set_environment",
    "use_token",
]
