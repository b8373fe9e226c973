"""What runs on GPU nodes beside the work: operators, device plugins, DRA drivers, and whoever writes containerd's configuration.

The GPU AMIs of EKS carry the driver and NVIDIA's container toolkit: an operator that brings its own stands in their way, and one that
exchanges drivers by itself works on the same nodes as the roll.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.images import split
from aliquot.eks.preflight.pools import Pool, pools
from aliquot.eks.versions import amis, gpu_stack
from aliquot.eks.versions.gpu_stack import Component, Version
from aliquot.eks.versions.minor import Minor

CHECK = "gpu-stack"
_KINDS = ("Deployment", "DaemonSet")
_BY_DRIVER = "nvidia.com/gpu.deploy.driver"
_PREINSTALLED = "pre-installed"
_CONTAINERD = "/etc/containerd"
_FIRST_CONTAINERD_2 = Minor(1, 34)
_CLUSTER_POLICY, _NVIDIA_DRIVER, _GPU_POLICY = (
    "ClusterPolicy.nvidia.com",
    "NVIDIADriver.nvidia.com",
    "GPUPolicy.aliquot.dev",
)


def judge(estate: Estate, to: Minor) -> Iterator[Finding | Unchecked]:
    objects = estate.objects or Objects()
    there = pools(estate)
    containerd = _containerd_then(there, to)
    for found in _found(objects):
        yield from _against_minor(found, to)
        if found.component.rows[-1].containerd and containerd:
            yield from _against_containerd(found, objects, containerd)
    yield from _drivers(objects, there)
    yield from _drop_ins(objects, containerd)


class _Found(Struct, frozen=True, kw_only=True):
    component: Component
    what: str
    version: Version | None
    written: str


def _found(objects: Objects) -> Iterator[_Found]:
    """Each once. What OLM says counts more than images, which it names by digest."""
    seen: set[str] = set()
    for csv in objects.of("ClusterServiceVersion.operators.coreos.com"):
        name, _, written = csv["metadata"]["name"].partition(".")
        component = gpu_stack.of_csv(name)
        if component is not None:
            seen.add(component.name)
            what = f"ClusterServiceVersion {csv['metadata'].get('namespace', '')}/{csv['metadata']['name']}"
            yield _Found(component=component, what=what, version=gpu_stack.parse(written), written=written)
    for kind in _KINDS:
        for workload in objects.workloads.get(kind, ()):
            meta, spec = workload.metadata, workload.spec.template.spec
            for container in spec.containers:
                repository, tag = split(container.image)
                component = gpu_stack.of_image(repository.rpartition("/")[2])
                if component is None or component.name in seen:
                    continue
                seen.add(component.name)
                what = f"{kind} {meta.namespace}/{meta.name}"
                yield _Found(component=component, what=what, version=gpu_stack.parse(tag), written=tag)


def _against_minor(found: _Found, to: Minor) -> Iterator[Finding | Unchecked]:
    component = found.component
    if found.version is None:
        yield Unchecked(
            what=f"the version of {component.name} ({found.what})",
            why=f"its image's tag {found.written!r} does not say it"
            if found.written
            else "its image is named by digest alone",
        )
        return
    row = component.row(found.version)
    first = component.first_for(to)
    fix = (
        f"bring it to {first} or later before"
        if first
        else "look at what its makers say, and try it elsewhere first"
    )
    if row is None:
        yield _finding(
            Severity.WARN,
            found.what,
            f"{component.name} {found.written} is older than all that is known here of it",
            fix,
        )
    elif row.last is not None and to > row.last:
        yield _finding(
            Severity.BLOCK,
            found.what,
            f"{component.name} {found.written} works up to {row.last}: the API that it uses ends",
            fix,
            row.last.next,
        )
    elif to > row.newest and component.knows(found.version):
        yield _finding(
            component.severity,
            found.what,
            f"{component.name} {found.written} was tried by its makers up to {row.newest}",
            fix,
            row.newest.next,
        )


def _containerd_then(there: tuple[Pool, ...], to: Minor) -> str:
    """Of GPU groups, the newest; empty: there are none, or it is not known."""
    found = []
    for pool in there:
        if pool.group is None or not amis.has_gpu_software(pool.group.ami_type):
            continue
        contents = amis.newest(pool.group.ami_type, to)
        if contents is not None and contents.containerd:
            found.append(contents.containerd)
        elif amis.is_bottlerocket(pool.group.ami_type) and to >= _FIRST_CONTAINERD_2:
            found.append("2.1")
    return max(found, key=gpu_stack.numbers, default="")


def _against_containerd(found: _Found, objects: Objects, containerd: str) -> Iterator[Finding]:
    row = found.component.row(found.version) if found.version is not None else None
    if row is None or not row.containerd or found.version is None or not found.component.knows(found.version):
        return
    if gpu_stack.numbers(row.containerd) >= gpu_stack.numbers(containerd):
        return
    writes = any(
        _part(policy, "spec", "toolkit").get("enabled") is not False for policy in objects.of(_CLUSTER_POLICY)
    )
    if writes:
        yield _finding(
            Severity.WARN,
            found.what,
            f"its container toolkit writes containerd's configuration, which {found.written} knows up to containerd {row.containerd}; the nodes that come have {containerd}, and a toolkit of the AMI",
            f"set toolkit.enabled: false in its ClusterPolicy, or bring it to {found.component.first_with(containerd) or 'a later version'}",
        )


def _drivers(objects: Objects, there: tuple[Pool, ...]) -> Iterator[Finding]:
    carried = [
        pool for pool in there if pool.group is not None and amis.has_gpu_software(pool.group.ami_type)
    ]
    for what, spec, ours in _policies(objects):
        driver = _part(spec, "driver")
        if driver.get("enabled") is False or driver.get("preinstalled"):
            continue
        field = "spec.driver.preinstalled: true" if ours else "driver.enabled: false"
        if carried:
            nodes = [node for pool in carried for node in pool.nodes]
            # NVIDIA's operator marks nodes on which it has found a driver, and leaves them alone.
            left_alone = bool(nodes) and all(
                node.metadata.labels.get(_BY_DRIVER) == _PREINSTALLED for node in nodes
            )
            names = ", ".join(pool.name for pool in carried)
            yield _finding(
                Severity.WARN if left_alone and not ours else Severity.BLOCK,
                what,
                f"its driver container is on, and the AMI of {names} carries the driver"
                + (
                    ": on the nodes of now it has found that out, on those that come it has to again"
                    if left_alone and not ours
                    else ": on the nodes that come two drivers are loaded against each other"
                ),
                f"set {field}"
                + (", for a policy of these nodes" if ours else " in the operator's values (ClusterPolicy)"),
            )
        upgrade = _part(spec, "upgrade") if ours else _part(spec, "driver", "upgradePolicy")
        if upgrade.get("auto" if ours else "autoUpgrade", ours):
            yield _finding(
                Severity.WARN,
                what,
                "its own upgrades of drivers are on: they cordon and drain nodes while the roll does, too",
                f"set {'spec.upgrade.auto' if ours else 'driver.upgradePolicy.autoUpgrade'}: false until the nodes are replaced",
            )


def _policies(objects: Objects) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """What, its spec, and whether it is Aliquot's."""
    for policy in objects.of(_CLUSTER_POLICY):
        yield f"ClusterPolicy {policy['metadata']['name']}", _part(policy, "spec"), False
    for driver in objects.of(_NVIDIA_DRIVER):
        spec = _part(driver, "spec")
        # It is there to bring a driver; its own fields are those of ClusterPolicy's `driver`.
        yield f"NVIDIADriver {driver['metadata']['name']}", {"driver": {**spec, "enabled": True}}, False
    for policy in objects.of(_GPU_POLICY):
        yield f"GPUPolicy {policy['metadata']['name']}", _part(policy, "spec"), True


def _drop_ins(objects: Objects, containerd: str) -> Iterator[Finding]:
    """Of whoever is no part of what is known above."""
    if not containerd.startswith("2") or not any(
        node.status.node_info.container_runtime_version.startswith("containerd://1.")
        for node in objects.nodes
    ):
        return
    for workload in objects.workloads.get("DaemonSet", ()):
        paths = sorted(
            path
            for volume in workload.spec.template.spec.volumes
            if (path := str((volume.get("hostPath") or {}).get("path", ""))).startswith(_CONTAINERD)
        )
        images = {split(one.image)[0].rpartition("/")[2] for one in workload.spec.template.spec.containers}
        if paths and "container-toolkit" not in images:
            yield _finding(
                Severity.WARN,
                f"DaemonSet {workload.metadata.namespace}/{workload.metadata.name}",
                f"it has {paths[0]} of the node: what it writes there is for containerd 1, and the GPU nodes that come have {containerd}, whose configuration (version 3) names plugins otherwise",
                "see that it writes version 3, or imports that containerd 2 reads",
            )


def _part(of: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Empty where it leads nowhere."""
    found: Any = of
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _finding(severity: Severity, what: str, why: str, fix: str, minor: Minor | None = None) -> Finding:
    return Finding(check=CHECK, severity=severity, what=what, why=why, fix=fix, minor=minor)
