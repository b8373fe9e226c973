"""Clusters as a check sees them: one that nothing speaks against, to be changed where a test wants it."""

from typing import Any

import msgspec

from aliquot.eks.estate.estate import Addon, AddonBuild, Cluster, Estate, Nodegroup, Subnet
from aliquot.eks.estate.objects import Node, Objects, Pod, Workload
from aliquot.eks.versions.minor import Minor

M131, M132, M133 = Minor(1, 31), Minor(1, 32), Minor(1, 33)


def subnet(id_: str, free: int = 100) -> Subnet:
    return Subnet(id=id_, zone=f"eu-west-1{id_[-1]}", free=free)


def group(name: str = "gpu", **more: Any) -> Nodegroup:
    settings: dict[str, Any] = {"minor": M131, "desired": 3, "maximum": 5, "subnets": ("s-a", "s-b"), **more}
    return Nodegroup(name=name, **settings)


def estate(**more: Any) -> Estate:
    settings: dict[str, Any] = {
        "cluster": Cluster(name="prod", minor=M131, subnets=("s-a", "s-b")),
        "nodegroups": (group(),),
        "subnets": (subnet("s-a"), subnet("s-b")),
        "addons": (Addon(name="coredns", build="b1"),),
        "builds": (AddonBuild(addon="coredns", build="b1", minors=(M131, M132)),),
        "objects": Objects(),
        **more,
    }
    return Estate(**settings)


def pods(*specs: dict[str, Any]) -> tuple[Pod, ...]:
    return msgspec.convert(specs, tuple[Pod, ...])


def nodes(*specs: dict[str, Any]) -> tuple[Node, ...]:
    return msgspec.convert(specs, tuple[Node, ...])


def workloads(*specs: dict[str, Any]) -> tuple[Workload, ...]:
    return msgspec.convert(specs, tuple[Workload, ...])


def web(number: int, ready: bool = True, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"web-{number}", "namespace": "shop", "labels": labels or {"app": "web"}},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
