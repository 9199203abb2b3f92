"""Places for trials that no node has room for, asked for so that an autoscaler starts nodes.

An autoscaler starts nodes for what waits. Trials that wait for a node would be withdrawn as soon
as another one has room, so what waits are empty places: reservations of what a trial needs, which
are given back as soon as a node holds them. They end with this process; a request for resources
(`ray.autoscaler.sdk`) would outlive a driver that was killed, and keep all nodes up.
"""

from collections.abc import Collection, Mapping
from typing import Any

import ray
from ray.util import placement_group, remove_placement_group


class Demand:
    """Places that wait for nodes."""

    def __init__(self, need: Mapping[str, float]) -> None:
        self._need = dict(need)
        self._places: dict[Any, Any] = {}
        """Each by what Ray fulfils, unasked, once a node holds it. Ray's table of places would have
        to be asked, and lists all that the cluster has ever had, at 70 us each."""

    def ask(self, number: int) -> None:
        """Have so many places wait. Those that were found on a node are given back."""
        self._give_back(self._found())
        self._give_back(list(self._places)[number:])
        for _ in range(number - len(self._places)):
            place = placement_group([self._need])
            self._places[place.ready()] = place

    @property
    def ids(self) -> list[str]:
        """Names of what waits, as the autoscaler tells them."""
        return [place.id.hex() for place in self._places.values()]

    def _found(self) -> list[Any]:
        promises = list(self._places)
        if not promises:
            return []
        kept, _ = ray.wait(promises, num_returns=len(promises), timeout=0)
        return kept

    def _give_back(self, promises: Collection[Any]) -> None:
        for promise in promises:
            remove_placement_group(self._places.pop(promise))
