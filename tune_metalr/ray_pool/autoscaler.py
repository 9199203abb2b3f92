"""What a cluster's autoscaler says: whether it may start nodes, and which demand it refuses.

Facts about Ray 2.60 that shape this file:
- What an autoscaler may start, nobody can ask it: `state.get_cluster_config()` is never filled.
- Every head that `ray start` makes has one; without a configuration it only counts nodes. Nodes
  that an autoscaler is in charge of have a type with a name, those that it counts have none.
- The second version (`ray up`, KubeRay) tells the cluster what it found infeasible. The first one
  leaves a JSON text in the cluster's store, which says no such thing.
"""

import json
import re
from collections.abc import Collection
from enum import Enum
from typing import Any, NamedTuple

_FIRST_VERSIONS_STATUS = b"__autoscaling_status"
_COUNTED_NODE = re.compile(r"node_[0-9a-f]{56}")
"""How the first version names the type of a node that it only counts: by its id."""

_ANSWER_SECONDS = 5


class Growth(Enum):
    """Whether nodes may come by themselves."""

    NONE = "none"
    """No autoscaler runs, or one that only counts nodes."""
    POSSIBLE = "possible"
    REFUSED = "refused"
    """There is an autoscaler, and none of its nodes can hold a trial, or it may start no more."""


class Outlook(NamedTuple):
    """What an autoscaler says."""

    growth: Growth
    failure: str | None = None
    """Why the last node that it wanted could not be started."""


def outlook(asked: Collection[str]) -> Outlook:
    """Ask the cluster what its autoscaler says.

    Args:
        asked: Ids of the placement groups that wait for its nodes.
    """
    from ray._private import worker

    us: Any = worker.global_worker
    client = us.gcs_client
    try:
        answer = client.get_cluster_status(timeout_s=_ANSWER_SECONDS)
        first = client.internal_kv_get(_FIRST_VERSIONS_STATUS, None, timeout=_ANSWER_SECONDS)
    except Exception:  # Ray's own kinds of no answer; the next look asks again
        return Outlook(Growth.NONE)
    return said_by_second(answer, asked) or said_by_first(first or b"{}")


def said_by_second(answer: bytes, asked: Collection[str]) -> Outlook | None:
    """Read what the second version says; `None` if none runs.

    Args:
        answer: The cluster's status, as Ray sends it.
        asked: Ids of the placement groups that wait for its nodes.
    """
    from ray.core.generated import autoscaler_pb2 as messages

    status = messages.GetClusterStatusReply.FromString(answer)  # type: ignore[attr-defined]
    said = status.autoscaling_state
    if not said.autoscaler_state_version:
        return None
    if not any(node.ray_node_type_name for node in status.cluster_resource_state.node_states):
        return Outlook(Growth.NONE)
    refused = {gang.details.partition(":")[0] for gang in said.infeasible_gang_resource_requests}
    failures = sorted(said.failed_instance_requests, key=lambda request: request.failed_ts)
    return Outlook(
        Growth.REFUSED if asked and refused.issuperset(asked) else Growth.POSSIBLE,
        failures[-1].reason if failures else None,
    )


def said_by_first(status: bytes) -> Outlook:
    """Read what the first version says, if one runs.

    Args:
        status: A JSON text.
    """
    report = json.loads(status).get("autoscaler_report") or {}
    types = {*report.get("active_nodes", {}), *(report.get("idle_nodes") or {})}
    if all(_COUNTED_NODE.fullmatch(name) for name in types):
        return Outlook(Growth.NONE)
    return Outlook(Growth.POSSIBLE)
