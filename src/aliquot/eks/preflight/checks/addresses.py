"""Free addresses: of the control plane's subnets before EKS begins, of nodes while they are replaced."""

from collections.abc import Iterator

from aliquot.counting import counted
from aliquot.eks.estate.estate import SUBNETS, Estate, Nodegroup, Subnet
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.surge import nodes_on_top

CHECK = "free-addresses"
_OF_CONTROL_PLANE = 5
_TIGHT = 16


def judge(estate: Estate) -> Iterator[Finding]:
    if not estate.was_read(SUBNETS):
        return
    by_id = {subnet.id: subnet for subnet in estate.subnets}
    own = [by_id[id_] for id_ in estate.cluster.subnets if id_ in by_id]
    for id_ in estate.cluster.subnets:
        if id_ not in by_id:
            yield _block(
                f"subnet {id_}",
                "the control plane is in it, and it is not there any more",
                "give the cluster other subnets (UpdateClusterConfig)",
            )
    for subnet in own:
        if subnet.free < _OF_CONTROL_PLANE:
            yield _block(
                f"subnet {subnet.id}",
                f"{counted(subnet.free, 'address is', 'addresses are')} free; EKS wants {_OF_CONTROL_PLANE} in each subnet of the control plane before it updates it",
                "free some, or give the cluster another subnet of the zone (UpdateClusterConfig)",
            )
        elif subnet.free < _TIGHT:
            yield Finding(
                check=CHECK,
                severity=Severity.WARN,
                what=f"subnet {subnet.id}",
                why=f"{counted(subnet.free, 'address is', 'addresses are')} free: the update takes up to {_OF_CONTROL_PLANE}, and new nodes and pods come on top",
                fix="free some before",
            )
    zones = {subnet.zone for subnet in own if subnet.free >= _OF_CONTROL_PLANE}
    if own and len(zones) < 2:
        yield _block(
            f"cluster {estate.cluster.name}",
            f"its subnets have enough free addresses in {counted(len(zones), 'zone', 'zones')}; EKS wants two",
            "free addresses, or give it subnets of another zone",
        )
    for group in estate.nodegroups:
        yield from _surge(
            group, nodes_on_top(estate, group), [by_id[id_] for id_ in group.subnets if id_ in by_id]
        )


def _surge(group: Nodegroup, nodes: int, subnets: list[Subnet]) -> Iterator[Finding]:
    """Each of them has an address of its own; those of its pods are another check's."""
    free = sum(subnet.free for subnet in subnets)
    if free < nodes:
        yield _block(
            f"node group {group.name}",
            f"{counted(nodes, 'node more comes', 'nodes more come')} while it is replaced, and its subnets have {counted(free, 'free address', 'free addresses')}",
            "free some, or set its update strategy to MINIMAL",
        )


def _block(what: str, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=Severity.BLOCK, what=what, why=why, fix=fix)
