"""How many trials the living nodes of a cluster can hold."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import ray


class Room(NamedTuple):
    """What the pool sees when it looks at the cluster."""

    slots: int
    """Trials that can run at once."""
    nodes: frozenset[str]
    """Ids of the nodes that live."""


def room_for(need: Mapping[str, float]) -> Room:
    """Look at the cluster.

    Args:
        need: Of one trial, by Ray's name of the resource; what is 0 is left out.
    """
    nodes = _living()
    slots = slots_on((node["Resources"] for node in nodes), need)
    return Room(slots, frozenset(str(node["NodeID"]) for node in nodes))


def largest_for(need: Mapping[str, float]) -> str:
    """Say how much of what a trial needs the largest node of the cluster has."""
    return most_of((node["Resources"] for node in _living()), need)


def slots_on(nodes: Iterable[Mapping[str, float]], need: Mapping[str, float]) -> int:
    """Return how many trials fit on some nodes.

    Args:
        nodes: What each of them has, by Ray's name of the resource.
        need: Of one trial, in the same way; what is 0 is left out.
    """
    return sum(_on_one(node, need) for node in nodes)


def most_of(nodes: Iterable[Mapping[str, float]], need: Mapping[str, float]) -> str:
    """Say how much of what a trial needs the largest of some nodes has."""
    known = list(nodes)
    if not known:
        return "the cluster has no node"
    largest = max(known, key=lambda node: [node.get(name, 0) for name in need])
    return f"the largest has {told({name: largest.get(name, 0) for name in need})}"


def told(resources: Mapping[str, float]) -> str:
    """Return amounts in words, as `2 CPU, 0.5 GPU`."""
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _living() -> list[dict[str, dict[str, float]]]:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]


def _on_one(resources: Mapping[str, float], need: Mapping[str, float]) -> int:
    # Ray counts in ten-thousandths.
    return min(math.floor(resources.get(name, 0) / amount + 1e-9) for name, amount in need.items())
