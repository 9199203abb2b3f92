"""A cluster as the pool sees it: how many trials fit, and nodes that may come."""

import time
from collections.abc import Callable, Mapping

from tune_metalr.errors import UserError
from tune_metalr.ray_pool.autoscaler import Growth, Outlook, outlook
from tune_metalr.ray_pool.demand import Demand
from tune_metalr.ray_pool.room import Room, largest_for, room_for, told
from tune_metalr.ray_pool.vacancy import Vacancy

_PATIENCE_SECONDS = 10.0
"""For nodes of a cluster that is just starting, and for an autoscaler that refuses."""

_PATIENCE_WITH_AUTOSCALER_SECONDS = 1200.0
"""For a node that is ordered, started and set up."""

_LOOK_SECONDS = 0.5

_MOST_ASKED = 16
"""Trials that nodes are asked for beside as many as run: a cluster doubles in each round."""

_MOST_WAITING = 64
"""Trials that nodes are asked for at once: each is a call or two, in the loop that runs trials."""


class Cluster:
    """Looks at a cluster, asks for nodes, and says when there is none."""

    def __init__(
        self,
        need: Mapping[str, float],
        *,
        most_cpus: int | None,
        can_grow: bool,
        say: Callable[[str], None],
    ) -> None:
        """Begin to look.

        Args:
            need: Of one trial, by Ray's name of the resource; what is 0 is left out.
            most_cpus: CPUs that may be used; `None` takes all.
            can_grow: Whether nodes may come and go; false of a private cluster.
            say: Hears what whoever waits should know.
        """
        self._need = need
        self._most_slots = None if most_cpus is None else int(most_cpus / need["CPU"])
        self._demand = Demand(need) if can_grow else None
        self._seen = Outlook(Growth.NONE)
        """What the autoscaler said last."""
        self._vacancy = Vacancy(need, say)

    def wait_for_room(self, num_waiting: Callable[[], int]) -> None:
        """Wait for a node that can hold a trial; long only if one may come by itself.

        Args:
            num_waiting: Trials that could run now if they had a place.

        Raises:
            UserError: There is none.
        """
        growth, since = None, 0.0
        while not self._room().slots:
            seen = self._ask(max(1, num_waiting()), slots=0)
            if seen.growth is not growth:
                growth, since = seen.growth, time.monotonic()
            if time.monotonic() - since >= self._patience_seconds(growth):
                raise UserError(self._complaint(growth))
            if seen.growth is Growth.POSSIBLE:
                self._vacancy.look(0, failure=seen.failure)
            time.sleep(_LOOK_SECONDS)
        self._vacancy.look(1)
        self._ask(0, slots=1)

    def look(self, num_waiting: int) -> Room:
        """Count the trials that can run at once, and the nodes; ask for more if trials wait.

        Args:
            num_waiting: Trials that could run now if they had a place.
        """
        room = self._room()
        seen = self._ask(num_waiting, slots=room.slots)
        self._vacancy.look(room.slots, failure=seen.failure)
        return room

    def _room(self) -> Room:
        room = room_for(self._need)
        if self._most_slots is not None:
            room = room._replace(slots=min(room.slots, self._most_slots))
        return room

    def _ask(self, num_waiting: int, *, slots: int) -> Outlook:
        """Ask for nodes for what waits, and hear what the autoscaler says."""
        if self._demand is None:
            return self._seen
        seen = outlook(self._demand.ids)
        if seen.growth is not Growth.NONE:  # an autoscaler does not go: it only did not answer
            self._seen = seen
        number = min(num_waiting, slots + _MOST_ASKED, _MOST_WAITING)
        if self._most_slots is not None:
            number = min(number, self._most_slots - slots)
        self._demand.ask(0 if self._seen.growth is Growth.NONE else number)
        return self._seen

    def _patience_seconds(self, growth: Growth) -> float:
        if self._demand is None:
            return 0.0
        waits = growth is Growth.POSSIBLE
        return _PATIENCE_WITH_AUTOSCALER_SECONDS if waits else _PATIENCE_SECONDS

    def _complaint(self, growth: Growth) -> str:
        more = {
            Growth.NONE: "",
            Growth.REFUSED: ", and the cluster starts no such node",
            Growth.POSSIBLE: f", and none came in {_PATIENCE_WITH_AUTOSCALER_SECONDS / 60:.0f} "
            f"minutes",
        }
        return (
            f"no node can hold a trial, which needs {told(self._need)}; "
            f"{largest_for(self._need)}{more[growth]}: let the study ask for less, or add such a "
            f"node and run the same command again"
        )
