"""How a worker was lost, from what Tune writes of a trial that ended in an error."""

import re

from tune_metalr.losses import Cause, Loss

_MOST_DETAIL = 200

_NODE = re.compile(r"\(pid=\d+, ip=([^,)]+)")
"""How an error tells where it was raised."""

_SIGNS_OF_MEMORY = ("node_out_of_memory", "running low on memory", "memory pressure")
_SIGNS_OF_A_NODE = (
    "node has died",
    "node died",
    "node was terminated",
    "preempted",
    "is unavailable",
    "raylet died",
)


def loss_of(text: str) -> Loss:
    """Return the loss that Tune's error file of a trial tells of."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    detail = lines[-1][:_MOST_DETAIL] if lines else "no reason given"
    lower = text.lower()
    if "error raised in its creation task" in lower:
        node = _NODE.search(text)
        return Loss(Cause.START, f"on node {node[1]}: {detail}" if node else detail)
    if any(sign in lower for sign in _SIGNS_OF_MEMORY):
        return Loss(Cause.MEMORY, detail)
    if any(sign in lower for sign in _SIGNS_OF_A_NODE):
        return Loss(Cause.NODE, detail)
    return Loss(Cause.WORKER, detail)
