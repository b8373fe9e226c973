"""What a cluster has, beside its pods, that newer minors take otherwise."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.minor import Minor

CHECK = "cluster-behaviour"
_ANONYMOUS = frozenset({"system:unauthenticated", "system:anonymous"})
_KUBERNETES_OWN = frozenset({"system:public-info-viewer"})
"""Kubernetes binds it to whoever comes; the paths it is for stay open."""
_IN_TREE_EBS = "kubernetes.io/aws-ebs"
_CEPH = "kubernetes.io/rbd"


def judge(objects: Objects, to: Minor) -> Iterator[Finding]:
    yield from _volumes(objects, to)
    if to >= Minor(1, 32):
        yield from _anonymous(objects)
    if to >= Minor(1, 35):
        yield from _ipvs(objects)
    if to >= Minor(1, 36):
        yield from _external_ips(objects)
        yield from _loose_addresses(objects)


def _volumes(objects: Objects, to: Minor) -> Iterator[Finding]:
    for one in objects.of("PersistentVolume"):
        spec = one.get("spec") or {}
        named = f"PersistentVolume {one['metadata']['name']}"
        if to >= Minor(1, 31) and ("cephfs" in spec or "rbd" in spec):
            yield _finding(
                named,
                Severity.BLOCK,
                Minor(1, 31),
                "in-tree volumes cephfs and rbd are not mounted any more",
                "use the CSI driver of Ceph",
            )
    for one in objects.of("StorageClass"):
        named, provisioner = f"StorageClass {one['metadata']['name']}", one.get("provisioner", "")
        if provisioner == _CEPH and to >= Minor(1, 31):
            yield _finding(
                named, Severity.BLOCK, Minor(1, 31), f"{_CEPH} is gone", "use the CSI driver of Ceph"
            )
        if provisioner == _IN_TREE_EBS and not _has_driver(objects, "ebs.csi.aws.com"):
            yield _finding(
                named,
                Severity.BLOCK,
                None,
                f"{_IN_TREE_EBS} is served by the EBS CSI driver alone, which is not there",
                "install the add-on aws-ebs-csi-driver",
            )


def _has_driver(objects: Objects, driver: str) -> bool:
    return any(
        driver.split(".")[0] in one.metadata.name and "csi" in one.metadata.name
        for one in (*objects.workloads.get("DaemonSet", ()), *objects.workloads.get("Deployment", ()))
    )


def _anonymous(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("ClusterRoleBinding"):
        who = sorted({subject.get("name", "") for subject in one.get("subjects") or ()} & _ANONYMOUS)
        if who and one["metadata"]["name"] not in _KUBERNETES_OWN:
            yield _finding(
                f"ClusterRoleBinding {one['metadata']['name']}",
                Severity.WARN,
                Minor(1, 32),
                f"it lets {', '.join(who)} in, and from 1.32 on whoever is not signed in gets /healthz, /livez and /readyz alone",
                "let whoever uses it sign in",
            )


def _ipvs(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("ConfigMap"):
        if one["metadata"]["name"] in ("kube-proxy", "kube-proxy-config") and any(
            "mode: ipvs" in text or 'mode: "ipvs"' in text for text in (one.get("data") or {}).values()
        ):
            yield _finding(
                f"ConfigMap kube-system/{one['metadata']['name']}",
                Severity.WARN,
                Minor(1, 35),
                "kube-proxy runs in mode ipvs, which is deprecated (off by default in 1.40, gone in 1.43)",
                "nftables is what stays",
            )


def _external_ips(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("Service"):
        if (one.get("spec") or {}).get("externalIPs"):
            yield _finding(
                _named("Service", one),
                Severity.WARN,
                Minor(1, 36),
                "externalIPs are deprecated (gone in 1.43)",
                "use a load balancer or a gateway",
            )


def _loose_addresses(objects: Objects) -> Iterator[Finding]:
    """Only writes are refused: what is stored stays until somebody changes it."""
    for one in objects.of("Service"):
        spec = one.get("spec") or {}
        for address in (*spec.get("externalIPs", ()), spec.get("loadBalancerIP") or ""):
            if address and _loose(address):
                yield _strict(_named("Service", one), address)
        for network in spec.get("loadBalancerSourceRanges") or ():
            if _loose_network(network):
                yield _strict(_named("Service", one), network)
    for one in objects.of("NetworkPolicy"):
        for network in _networks(one.get("spec") or {}):
            if _loose_network(network):
                yield _strict(_named("NetworkPolicy", one), network)


def _networks(spec: Mapping[str, Any]) -> Iterator[str]:
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield from (one for one in (block.get("cidr"), *(block.get("except") or ())) if one)


def _loose(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return True
    return False


def _loose_network(network: str) -> bool:
    try:
        ipaddress.ip_network(network.strip())
    except ValueError:
        return True
    return network != network.strip()


def _strict(what: str, written: str) -> Finding:
    return _finding(
        what,
        Severity.WARN,
        Minor(1, 36),
        f"{written!r} has leading zeros or host bits: from 1.36 on nobody can change the object until that is mended",
        "write it plainly: 10.1.2.3, 10.1.2.0/24",
    )


def _finding(what: str, severity: Severity, minor: Minor | None, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=severity, what=what, why=why, fix=fix, minor=minor)


def _named(kind: str, one: Mapping[str, Any]) -> str:
    meta = one["metadata"]
    return f"{kind} {meta.get('namespace', '')}/{meta['name']}"
