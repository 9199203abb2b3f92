"""Cluster files: Ray takes them, their versions are ours, and they open no door."""

import re
import tomllib
from pathlib import Path

import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.conftest import REPOSITORY

CONSTRAINTS = dict(
    line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split()
)
LAUNCHER = ["cluster.yaml", "clusters/on-premises.yaml"]
KUBERNETES = "clusters/rayjob.yaml"
IMAGES = [*LAUNCHER, KUBERNETES, "clusters/Dockerfile", "clusters/README.md"]
PINS = [
    re.compile(
        r"\b(?P<name>ray|torch)(?:\[[\w,]*\])?\s*(?P<is>==|~=|>=|<=|@)\s*(?P<version>[^\s\"']+)"
    ),
    re.compile(r"rayproject/(?P<name>ray)(?P<is>:)(?P<version>[^\s-]+)"),
    re.compile(r"tune-metalr(?P<is>:)(?P<version>[^\s\"]+)"),
    re.compile(r"rayVersion(?P<is>:) (?P<version>\S+)"),
]
THREADS = ("OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1")


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text()


def launched(name: str):
    """Return the cluster as Ray would launch it, with Ray's own defaults where the file is silent."""
    config = prepare_config(yaml.safe_load(text_of(name)))
    validate_config(config)
    return config


def mistakes(text: str) -> list[str]:
    """Return what is wrong with a cluster's file, whatever its form."""
    found = []
    for pattern in PINS:
        for match in pattern.finditer(text):
            name = match.groupdict().get("name") or "ray"
            if match["is"] not in ("==", ":") or match["version"] != CONSTRAINTS[name]:
                found.append(f"{match[0]}: constraints.txt has {CONSTRAINTS[name]}")
    for door in ("0.0.0.0", "--dashboard-host=::", "/0"):
        if door in text:
            found.append(f"{door} is open to everybody")
    for nightly in (r"ray-wheels", r"\.dev0", r"\bnightly\b", r":latest\b"):
        if re.search(nightly, text):
            found.append(f"{nightly} is not a release")
    return found


def rayjob():
    return next(yaml.safe_load_all(text_of(KUBERNETES)))


@pytest.mark.parametrize("name", IMAGES)
def test_versions_are_ours_and_no_door_is_open(name):
    assert mistakes(text_of(name)) == []


@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_takes_the_file_and_adds_neither_a_door_nor_a_nightly_wheel(name):
    assert mistakes(yaml.safe_dump(launched(name))) == []


@pytest.mark.parametrize("name", [*LAUNCHER, "clusters/Dockerfile"])
def test_ray_and_torch_are_pinned_where_they_are_installed(name):
    assert f"torch=={CONSTRAINTS['torch']}" in text_of(name)
    assert f'"ray[default,tune]=={CONSTRAINTS["ray"]}"' in text_of(name)


MUTATIONS = {
    "an older torch": ("torch==2.13.0", "torch==2.12.1"),
    "an older ray": ('"ray[default,tune]==2.60.0"', '"ray[default,tune]==2.59.1"'),
    "an open version of ray": ('"ray[default,tune]==2.60.0"', '"ray[default,tune]>=2.60.0"'),
    "another image": ("rayproject/ray:2.60.0-py312-cpu", "rayproject/ray:2.59.0-py312-cpu"),
    "the latest image": ("rayproject/ray:2.60.0-py312-cpu", "rayproject/ray:latest"),
    "an open dashboard": ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0"),
    "a nightly wheel": (
        '"ray[default,tune]==2.60.0"',
        '"ray @ https://s3-us-west-2.amazonaws.com/ray-wheels/latest/ray-3.0.0.dev0-cp312-cp312-manylinux2014_x86_64.whl"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), MUTATIONS.values(), ids=MUTATIONS)
def test_a_file_that_drifts_is_found(old, new):
    text = text_of("cluster.yaml")
    assert old in text
    assert mistakes(text.replace(old, new))


@pytest.mark.parametrize("silent", ["setup_commands", "head_start_ray_commands"])
def test_what_ray_would_add_to_a_silent_file_is_found(silent):
    config = yaml.safe_load(text_of("cluster.yaml"))
    del config[silent]
    assert mistakes(yaml.safe_dump(prepare_config(config)))


def test_an_unknown_key_is_refused():
    config = yaml.safe_load(text_of("cluster.yaml")) | {"initial_workers": 1}
    with pytest.raises(Exception, match="initial_workers"):
        validate_config(prepare_config(config))


def test_on_aws_the_head_stays_and_takes_no_trials_and_workers_are_spot():
    config = launched("cluster.yaml")
    head, worker = (config["available_node_types"][kind] for kind in ("head", "worker"))
    assert config["head_node_type"] == "head"
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert worker["min_workers"] == 0
    assert 0 < config["idle_timeout_minutes"] <= 60
    # Ray's own group lets SSH in from anywhere.
    assert all(kind["node_config"]["SecurityGroupIds"] for kind in (head, worker))


def started(config) -> list[str]:
    """Return the commands that start Ray on each kind of node, with the variables they have."""
    variables = " ".join(config.get("docker", {}).get("run_options", []))
    commands = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    return [f"{variables} {command}" for command in commands if "ray start" in command]


@pytest.mark.parametrize("name", LAUNCHER)
def test_nodes_start_with_a_token_one_thread_a_trial_and_no_statistics(name):
    config = launched(name)
    commands = started(config)
    assert len(commands) == 2
    for command in commands:
        for setting in (*THREADS, "RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0"):
            assert setting in command
        assert "--disable-usage-stats" in command
    assert "--num-cpus=0" in commands[0]
    assert "--dashboard-host=127.0.0.1" in commands[0]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("name", LAUNCHER)
def test_only_what_is_installed_is_copied_to_the_nodes(name):
    config = launched(name)
    mounts = dict(config["file_mounts"])
    assert mounts.pop("~/.ray/auth_token") == "~/.ray/auth_token"
    for there, here in mounts.items():
        assert there == f"~/tune-metalr/{here}"
        assert (REPOSITORY / here).exists()
    project = tomllib.loads(text_of("pyproject.toml"))
    packages = [
        each.rstrip("*") for each in project["tool"]["setuptools"]["packages"]["find"]["include"]
    ]
    needed = {"pyproject.toml", project["project"]["readme"], "constraints.txt", *packages}
    assert set(mounts.values()) == needed


@pytest.mark.parametrize("name", [*LAUNCHER, "clusters/Dockerfile", "clusters/README.md"])
def test_packages_come_from_wherever_pip_takes_them(name):
    assert "index-url" not in text_of(name)
    assert "download." not in text_of(name)


def test_a_disk_on_aws_holds_the_image_that_ray_chooses():
    rays = yaml.safe_load((Path(ray.autoscaler.__file__).parent / "aws/defaults.yaml").read_text())
    head = rays["available_node_types"]["ray.head.default"]["node_config"]
    for kind in launched("cluster.yaml")["available_node_types"].values():
        assert gigabytes(kind["node_config"]) >= gigabytes(head)


def gigabytes(node_config) -> int:
    return node_config["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]


def test_nothing_is_installed_that_is_not_pinned():
    config = launched("cluster.yaml")
    lines = [line for key in config if key.endswith("setup_commands") for line in config[key]]
    installing = [line for line in lines if " install " in line]
    assert installing
    assert all("-c ~/tune-metalr/constraints.txt" in line for line in installing)


def test_the_object_store_fits_the_shared_memory_that_there_is():
    option = re.compile(r"--object-store-memory=(\d+)")
    config = launched("cluster.yaml")
    shared = re.search(r"--shm-size=(\d+)gb", " ".join(config["docker"]["run_options"]))
    for command in started(config):
        assert int(option.search(command)[1]) < 0.9 * int(shared[1]) * 2**30
    for group in groups(rayjob()["spec"]["rayClusterSpec"]):
        size = group["template"]["spec"]["volumes"][0]["emptyDir"]["sizeLimit"]
        assert (
            int(group["rayStartParams"]["object-store-memory"])
            < 0.9 * int(size.removesuffix("Gi")) * 2**30
        )


# The fields of KubeRay's Go types (ray-operator/apis/ray/v1), as far as they matter here.
JOB_FIELDS = {
    "activeDeadlineSeconds": int, "backoffLimit": int, "rayClusterSpec": dict, "submitterPodTemplate": dict,
    "metadata": dict, "clusterSelector": dict, "submitterConfig": dict, "managedBy": str,
    "deletionStrategy": dict, "entrypoint": str, "runtimeEnvYAML": str, "jobId": str, "submissionMode": str,
    "entrypointResources": str, "entrypointNumCpus": float, "entrypointNumGpus": float,
    "ttlSecondsAfterFinished": int, "shutdownAfterJobFinishes": bool, "suspend": bool,
}  # fmt: skip
CLUSTER_FIELDS = {
    "headGroupSpec": dict, "workerGroupSpecs": list, "rayVersion": str, "enableInTreeAutoscaling": bool,
    "autoscalerOptions": dict, "headServiceAnnotations": dict, "suspend": bool, "authOptions": dict,
}  # fmt: skip
GROUP_FIELDS = {
    "serviceType": str, "headService": dict, "enableIngress": bool, "rayStartParams": dict, "template": dict,
    "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int, "numOfHosts": int,
    "scaleStrategy": dict,
}  # fmt: skip


def groups(cluster):
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_kuberay_knows_each_field():
    job = rayjob()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    for known, given in [
        (JOB_FIELDS, job["spec"]), (CLUSTER_FIELDS, cluster), *((GROUP_FIELDS, group) for group in groups(cluster)),
    ]:  # fmt: skip
        for field, value in given.items():
            assert isinstance(value, known[field]), field
    for group in groups(cluster):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert group["template"]["spec"]["containers"][0]["image"]


def test_on_kubernetes_too_there_is_a_token_and_the_head_takes_no_trials():
    job = rayjob()["spec"]
    cluster = job["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert job["shutdownAfterJobFinishes"] is True
    for group in groups(cluster):
        variables = {
            item["name"]: item["value"]
            for item in group["template"]["spec"]["containers"][0]["env"]
        }
        assert {f"{name}={value}" for name, value in variables.items()} >= {
            *THREADS,
            "RAY_USAGE_STATS_ENABLED=0",
        }
        assert group["rayStartParams"]["disable-usage-stats"] == "true"
    policy = list(yaml.safe_load_all(text_of(KUBERNETES)))[1]
    assert policy["kind"] == "NetworkPolicy"
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_the_job_of_kubernetes_runs_a_study_of_ours():
    words = rayjob()["spec"]["entrypoint"].split()
    assert words[:2] == ["tune-metalr", "run"]
    assert (REPOSITORY / "studies" / Path(words[2]).name).exists()
    assert words[-2:] == ["--address", "auto"]
