"""Clusters to plan upgrades of, and where AWS says that these lead."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from aliquot.eks.estate.estate import (
    Addon,
    AddonBuild,
    Cluster,
    Estate,
    InstanceType,
    Nodegroup,
    Subnet,
)
from aliquot.eks.estate.objects import Node, Objects, Pod
from aliquot.eks.plan.targets import Release, Targets
from aliquot.eks.versions import addons
from aliquot.eks.versions.minor import Minor

M130, M131, M132, M133, M134 = (Minor(1, minor) for minor in range(30, 35))
NOW_S = datetime(2026, 10, 1, 8, tzinfo=UTC).timestamp()
STANDARD, NVIDIA = "AL2023_x86_64_STANDARD", "AL2023_x86_64_NVIDIA"
MINORS = (M130, M131, M132, M133, M134)
TARGETS = Targets(
    releases=tuple(
        Release(ami_type=ami_type, minor=minor, release=f"{minor}.9-20260920")
        for ami_type in (STANDARD, NVIDIA)
        for minor in MINORS
    )
)
REGION = "eu-west-1"


def group(name: str, desired: int = 3, **more: Any) -> Nodegroup:
    settings: dict[str, Any] = {
        "minor": M131,
        "release": "1.31.5-20260101",
        "desired": desired,
        "maximum": desired + 2,
        "subnets": ("s-a", "s-b"),
        "ami_type": STANDARD,
        "instance_types": ("m7i.large",),
        **more,
    }
    return Nodegroup(name=name, **settings)


def gpus(name: str, desired: int = 2, **more: Any) -> Nodegroup:
    return group(name, desired, **{"ami_type": NVIDIA, "instance_types": ("p5.48xlarge",), **more})


def builds(name: str, *each: tuple[str, Iterable[Minor], Iterable[Minor]]) -> tuple[AddonBuild, ...]:
    return tuple(
        AddonBuild(addon=name, build=build, minors=tuple(minors), default_of=tuple(defaults))
        for build, minors, defaults in each
    )


def shipped_builds(name: str) -> tuple[AddonBuild, ...]:
    """The shipped default of each minor, good for the next one, too."""
    of: dict[str, list[Minor]] = {}
    for minor in MINORS:
        build = addons.build(name, minor)
        assert build is not None
        of.setdefault(build, []).append(minor)
    return builds(
        name,
        *((build, {*minors, *(one.next for one in minors)}, minors) for build, minors in of.items()),
    )


def addon(name: str, at: Minor = M131) -> Addon:
    build = addons.build(name, at)
    assert build is not None
    return Addon(name=name, build=build)


def estate(*groups: Nodegroup, **more: Any) -> Estate:
    settings: dict[str, Any] = {
        "read_s": NOW_S,
        "cluster": Cluster(
            name="prod",
            arn=f"arn:aws:eks:{REGION}:123456789012:cluster/prod",
            minor=M131,
            platform="eks.30",
            created_s=NOW_S - 1e7,
            subnets=("s-a", "s-b"),
        ),
        "nodegroups": groups,
        "subnets": tuple(Subnet(id=id_, zone=f"{REGION}{id_[-1]}", free=100) for id_ in ("s-a", "s-b")),
        "instance_types": (
            InstanceType(name="m7i.large"),
            InstanceType(name="p5.48xlarge", gpus=8, gpu="H100"),
        ),
        "addons": (addon("coredns"), addon("kube-proxy")),
        "builds": (*shipped_builds("coredns"), *shipped_builds("kube-proxy")),
        "objects": Objects(),
        **more,
    }
    return Estate(**settings)


def at(minor: Minor, **more: Any) -> Cluster:
    return replace(estate().cluster, minor=minor, **more)


def node(name: str, group_name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"eks.amazonaws.com/nodegroup": group_name}}}


def worker(job: str, number: int, on: str) -> dict[str, Any]:
    """A pod of a Job that runs all at once."""
    owner = {"kind": "Job", "apiVersion": "batch/v1", "name": job, "controller": True}
    return {
        "metadata": {"name": f"{job}-{number}", "namespace": "ml", "ownerReferences": [owner]},
        "spec": {"nodeName": on},
        "status": {"phase": "Running"},
    }


def server(name: str, on: str) -> dict[str, Any]:
    """A pod that serves by itself."""
    owner = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "web", "controller": True}
    return {
        "metadata": {"name": name, "namespace": "shop", "ownerReferences": [owner]},
        "spec": {"nodeName": on},
        "status": {"phase": "Running"},
    }


def objects(nodes: Iterable[dict[str, Any]], pods: Iterable[dict[str, Any]]) -> Objects:
    return Objects(
        nodes=msgspec.convert(list(nodes), tuple[Node, ...]),
        pods=msgspec.convert(list(pods), tuple[Pod, ...]),
    )
