"""Addresses for the pods of nodes that come on top: VPC CNI takes them from subnets, more at once than pods have.

What it takes for a node depends on its settings (env of the DaemonSet aws-node): whole interfaces kept warm, a number of addresses,
or prefixes of sixteen; with custom networking from subnets of its own (ENIConfig), by zone.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.estate.estate import Estate, InstanceType, Nodegroup, Subnet
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.surge import nodes_on_top

T = TypeVar("T")

CHECK = "pod-addresses"
_OF_A_PREFIX = 16


class Cni(Struct, frozen=True, kw_only=True):
    """Settings of aws-node, with its own defaults."""

    prefixes: bool = False
    custom: bool = False
    discovers: bool = True
    """Subnets of the zone that are tagged for it."""
    warm_interfaces: int = 1
    warm_prefixes: int = 1
    warm_addresses: int | None = None
    least_addresses: int | None = None

    def takes(self, kind: InstanceType, pods: int) -> int:
        """Addresses for a node with that many pods (amazon-vpc-cni-k8s, docs/eni-and-ip-target.md and prefix-and-ip-target.md)."""
        slots = max(1, kind.addresses - 1)
        wanted = max(pods + (self.warm_addresses or 0), self.least_addresses or 0)
        by_target = self.warm_addresses is not None or self.least_addresses is not None
        if self.prefixes:
            prefixes = _over(wanted, _OF_A_PREFIX) + (0 if by_target else self.warm_prefixes)
            return prefixes * _OF_A_PREFIX + _over(prefixes, slots)
        if by_target:
            return wanted + _over(wanted, slots)
        interfaces = min(_over(pods, slots) + self.warm_interfaces, max(1, kind.interfaces))
        return max(1, interfaces) * max(1, kind.addresses)


def cni(objects: Objects) -> Cni | None:
    """None: pods of this cluster have their addresses from somebody else."""
    for one in objects.workloads.get("DaemonSet", ()):
        if one.metadata.namespace == "kube-system" and one.metadata.name == "aws-node":
            env = {
                str(variable.get("name")): str(variable.get("value", ""))
                for container in one.spec.template.spec.containers
                for variable in container.env
            }
            return Cni(
                prefixes=env.get("ENABLE_PREFIX_DELEGATION") == "true",
                discovers=env.get("ENABLE_SUBNET_DISCOVERY") != "false",
                custom=env.get("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG") == "true",
                warm_interfaces=_number(env.get("WARM_ENI_TARGET"), 1),
                warm_prefixes=_number(env.get("WARM_PREFIX_TARGET"), 1),
                warm_addresses=_number(env.get("WARM_IP_TARGET"), None),
                least_addresses=_number(env.get("MINIMUM_IP_TARGET"), None),
            )
    return None


def judge(estate: Estate) -> Iterator[Finding | Unchecked]:
    objects = estate.objects
    settings = cni(objects) if objects is not None else None
    if objects is None or settings is None or estate.cluster.ip_family == "ipv6":
        return
    own = {subnet.id: subnet for subnet in estate.subnets}
    if settings.custom:
        named = [str((one.get("spec") or {}).get("subnet", "")) for one in objects.of("ENIConfig")]
        for id_ in named:
            if id_ not in own:
                yield Unchecked(what=f"subnet {id_} of an ENIConfig", why="it is not among those of the VPC")
    for group in estate.nodegroups:
        nodes = nodes_on_top(estate, group)
        if not nodes:
            continue
        kinds = [one for one in estate.instance_types if one.name in estate.types_of(group)]
        if not kinds:
            yield Unchecked(
                what=f"addresses for pods of node group {group.name}",
                why="nothing is known of its instance types",
            )
            continue
        zones = sorted({own[id_].zone for id_ in group.subnets if id_ in own})
        tagged = {one.id for one in estate.subnets if one.for_pods} if settings.discovers else set()
        ids = set(named) if settings.custom else {*group.subnets, *tagged}
        for zone in zones:
            subnets = [subnet for subnet in estate.subnets if subnet.id in ids and subnet.zone == zone]
            finding = _zone(settings, group, kinds, subnets, _over(nodes, len(zones)), zone, objects)
            if finding is not None:
                yield finding


def _zone(
    settings: Cni,
    group: Nodegroup,
    kinds: list[InstanceType],
    subnets: list[Subnet],
    nodes: int,
    zone: str,
    objects: Objects,
) -> Finding | None:
    pods = _most_pods(group, objects)
    least, warm = nodes * (pods + 1), nodes * max(settings.takes(kind, pods) for kind in kinds)
    free = sum(subnet.free for subnet in subnets)
    if free >= warm:
        return None
    where = f"{'ENIConfig, ' if settings.custom else ''}subnets of {zone}: {', '.join(one.id for one in subnets) or 'none'}"
    if free < least:
        severity, words = (
            Severity.BLOCK,
            f"with {counted(pods, 'pod', 'pods')} each, as the fullest has now, need {least}",
        )
    else:
        severity, words = Severity.WARN, f"take up to {warm} with what VPC CNI keeps warm"
    return Finding(
        check=CHECK,
        severity=severity,
        what=f"node group {group.name}",
        where=where,
        why=f"{counted(nodes, 'node', 'nodes')} more in {zone} {words} addresses, and {free} are free: their pods would hang in ContainerCreating",
        fix="free some, add a subnet (ENIConfig or subnet discovery), set WARM_IP_TARGET and MINIMUM_IP_TARGET, or MINIMAL for the group",
    )


def _most_pods(group: Nodegroup, objects: Objects) -> int:
    """On one node of the group, with addresses of their own."""
    names = {
        node.metadata.name for node in objects.nodes if node.metadata.labels.get(GROUP_LABEL) == group.name
    }
    counted = Counter(
        pod.spec.node_name
        for pod in objects.pods
        if pod.spec.node_name in names
        and not pod.spec.host_network
        and pod.status.phase in ("Pending", "Running")
    )
    return max(counted.values(), default=0)


def _number(text: str | None, otherwise: T) -> int | T:
    return int(text) if text is not None and text.isdigit() else otherwise


def _over(amount: int, each: int) -> int:
    """Rounded up."""
    return -(-amount // max(1, each))
