"""A cluster whose autoscaler starts and ends nodes, as one in a cloud does: here, more raylets.

Ray's own provider of such nodes is used, for tests of Ray itself; the autoscaler is the real one.
"""

import json
import os
import socket
from contextlib import suppress
from unittest import mock

import psutil
from ray._private import node
from ray.autoscaler._private.fake_multi_node.node_provider import (
    FAKE_HEAD_NODE_ID,
    FakeMultiNodeProvider,
)

from tests.clusters import OBJECT_STORE_BYTES, RayCluster, start_node

_HEAD = "ray.head.default"
_NO_FILES = ("file_mounts",)
_NO_COMMANDS = (
    "cluster_synced_files",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
_ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
_VERSION: dict[int, dict[str, str]] = {
    1: {"RAY_enable_autoscaler_v2": "0"},
    2: {
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "RAY_NODE_TYPE_NAME": _HEAD,
    },
}
"""As `ray up` sets it on the head."""


class GrowingCluster(RayCluster):
    """A head without CPUs, and an autoscaler that may start workers."""

    def __init__(self, *, cpus_of_a_worker: int, most_workers: int, version: int = 2) -> None:
        """Start it.

        Args:
            cpus_of_a_worker: Each one the same.
            most_workers: That may live at once.
            version: Of Ray's autoscaler, 1 or 2.
        """
        self._version = version
        self._worker = {
            "resources": {
                "CPU": cpus_of_a_worker,
                "object_store_memory": OBJECT_STORE_BYTES,
            },
            "node_config": {},
            "min_workers": 0,
            "max_workers": most_workers,
        }
        super().__init__()

    def _start_head(self, system_config: object) -> node.Node:
        with socket.create_server(("127.0.0.1", 0)) as door:
            port = door.getsockname()[1]
        config = self.folder / "autoscaler.yaml"
        config.write_text(json.dumps(self._config(f"127.0.0.1:{port}")))
        with mock.patch.dict(os.environ, _ENVIRONMENT | _VERSION[self._version]):
            return start_node(
                head=True,
                folder=str(self.folder),
                num_cpus=0,
                system_config=system_config,
                gcs_server_port=port,
                no_monitor=False,
                autoscaling_config=str(config),
                env_vars={"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID},
            )

    def _config(self, address: str) -> dict[str, object]:
        """Return what `ray up` would leave on the head."""
        return (
            {
                "cluster_name": "growing",
                "max_workers": self._worker["max_workers"],
                "upscaling_speed": 4.0,
                "idle_timeout_minutes": 0.2,
                "provider": {
                    "type": "external",
                    "module": f"{FakeMultiNodeProvider.__module__}.FakeMultiNodeProvider",
                    "gcs_address": address,
                    "head_node_id": FAKE_HEAD_NODE_ID,
                    "launch_multiple": True,
                    "use_node_id_as_ip": True,
                    "disable_node_updaters": True,
                    "disable_launch_config_check": True,
                },
                "available_node_types": {
                    _HEAD: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
                    "worker": self._worker,
                },
                "head_node_type": _HEAD,
                "auth": {},
                "docker": {},
            }
            | {name: {} for name in _NO_FILES}
            | {name: [] for name in _NO_COMMANDS}
        )

    def num_workers(self) -> int:
        """Return how many nodes the autoscaler has started and not ended."""
        names = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                names.append(process.status() != psutil.STATUS_ZOMBIE and process.name())
        return names.count("raylet") - 1  # the head's
