"""Nodes that would be too far behind, or that EKS wants moved first."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from aliquot.counting import counted
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.deployed import with_image
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.images import split
from aliquot.eks.preflight.pools import pool_of
from aliquot.eks.versions import skew
from aliquot.eks.versions.minor import Minor

CHECK = "version-skew"
GROUPS = "node-group-versions"
KUBE_PROXY = "kube-proxy"
_LATE = 2
"""Minors behind, today, that are told: after the next hop there is no room left."""


def judge_nodes(estate: Estate, to: Minor) -> Iterator[Finding]:
    """Of kubelets, whoever runs them; grouped by what they are part of."""
    assert estate.objects is not None
    behind: dict[tuple[str, Minor], list[str]] = defaultdict(list)
    late: dict[tuple[str, Minor], list[str]] = defaultdict(list)
    control_plane = estate.cluster.minor
    for node in estate.objects.nodes:
        version = node.status.node_info.kubelet_version
        try:
            kubelet = Minor.parse(version)
        except ValueError:
            yield Finding(
                check=CHECK,
                severity=Severity.WARN,
                what=f"node {node.metadata.name}",
                why=f"its kubelet says that it is {version!r}",
                fix="see that it is no older than three minors behind the control plane",
            )
            continue
        if not skew.kubelet_fits(kubelet, max(to, kubelet)):
            behind[pool_of(node), kubelet].append(node.metadata.name)
        elif control_plane.minus(kubelet) >= _LATE:
            late[pool_of(node), kubelet].append(node.metadata.name)
    for (pool, kubelet), names in sorted(behind.items(), key=lambda item: item[0][0]):
        first = next(minor for minor in _hops(kubelet, to) if not skew.kubelet_fits(kubelet, minor))
        yield Finding(
            check=CHECK,
            severity=Severity.BLOCK,
            what=f"{pool} ({counted(len(names), 'node', 'nodes')}, {names[0]} first)",
            why=f"kubelet {kubelet} is more than three minors behind {first}, which does not support it",
            fix=f"bring these nodes to {skew.oldest_kubelet(to)} or later first",
            minor=first,
        )
    for (pool, kubelet), names in sorted(late.items(), key=lambda item: item[0][0]):
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=f"{pool} ({counted(len(names), 'node', 'nodes')}, {names[0]} first)",
            why=f"kubelet {kubelet} is {counted(control_plane.minus(kubelet), 'minor', 'minors')} behind {control_plane} already: three is the most there may be",
            fix=f"bring these nodes to {control_plane} before the next hop",
        )


def judge_kube_proxy(estate: Estate, to: Minor) -> Iterator[Finding]:
    """Of the add-on, whose build says its minor. It stays as it is until the nodes have followed the control plane."""
    for addon in estate.addons:
        if addon.name == KUBE_PROXY:
            kubelets = {one.minor for one in estate.nodegroups}
            yield from _of_kube_proxy(f"add-on {KUBE_PROXY}", addon.build, estate, to, kubelets)


def judge_kube_proxy_of_nobody(estate: Estate, to: Minor) -> Iterator[Finding]:
    """Where it is no add-on of EKS, its image's tag says its minor."""
    assert estate.objects is not None
    if any(addon.name == KUBE_PROXY for addon in estate.addons):
        return
    kubelets = set(_readable(estate.objects))
    for one in with_image(estate.objects, KUBE_PROXY, kind="DaemonSet"):
        yield from _of_kube_proxy(one.what, split(one.image)[1] or one.image, estate, to, kubelets)


def _readable(objects: Objects) -> Iterator[Minor]:
    for node in objects.nodes:
        with suppress(ValueError):
            yield Minor.parse(node.status.node_info.kubelet_version)


def _of_kube_proxy(
    what: str, version: str, estate: Estate, to: Minor, kubelets: set[Minor]
) -> Iterator[Finding]:
    try:
        kube_proxy = Minor.parse(version)
    except ValueError:
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=what,
            why=f"it is {version!r}, which says no minor",
            fix="see that it is no more than three minors behind the control plane",
        )
        return
    beside = [(to, to, f"the control plane at {to}")]
    beside += [(estate.cluster.minor, one, f"kubelets at {one}") for one in sorted(kubelets)]
    for api_server, kubelet, whom in beside:
        if not skew.kube_proxy_fits(kube_proxy, max(api_server, kube_proxy), kubelet):
            yield Finding(
                check=CHECK,
                severity=Severity.BLOCK,
                what=what,
                why=f"it is at {kube_proxy}, more than three minors from {whom}",
                fix=f"bring it to {estate.cluster.minor} first",
            )
            return


def judge_groups(estate: Estate) -> Iterator[Finding]:
    """The API reference says that each managed group has to be of the cluster's minor before the control plane goes on."""
    for group in estate.nodegroups:
        if group.minor < estate.cluster.minor:
            yield Finding(
                check=GROUPS,
                severity=Severity.BLOCK,
                what=f"node group {group.name}",
                why=f"it is at {group.minor}, the control plane at {estate.cluster.minor}: EKS may refuse the next minor until they are equal",
                fix=f"bring it to {estate.cluster.minor} first; where EKS allows three behind, waive this",
            )
        elif group.minor > estate.cluster.minor:
            yield Finding(
                check=GROUPS,
                severity=Severity.BLOCK,
                what=f"node group {group.name}",
                why=f"it is at {group.minor}, ahead of the control plane at {estate.cluster.minor}",
                fix="a kubelet may not be newer than its API server: bring it back",
            )


def _hops(now: Minor, to: Minor) -> Iterator[Minor]:
    minor = now
    while minor < to:
        minor = minor.next
        yield minor
