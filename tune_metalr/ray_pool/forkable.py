"""Makes it safe to fork a process that has imported Tune. Imported before Tune, in that alone.

Ray 2.60 draws a random id for each class that is made an actor class (`ray/actor.py`), and so
does its import. That seeds its generator, whose state forked workers would share: they would call
different objects by the same id, and Ray ends a worker that does. A test compares their ids.
"""

import os

import ray.actor
from ray._raylet import ActorClassID


class _ForkableActorClassID:
    """Random ids from the operating system."""

    @staticmethod
    def from_random() -> ActorClassID:
        """Return an id that no process shares."""
        return ActorClassID(os.urandom(ActorClassID.size()))


ray.actor.ActorClassID = _ForkableActorClassID  # type: ignore[attr-defined, assignment]
