"""Whether GPU nodes can be replaced where they are: reservations have no room for one more, blocks end, and some types are rarely to be had.

EKS' strategy DEFAULT makes new nodes before old ones go. MINIMAL lets the old one go first, so that its place is free.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from aliquot.counting import counted
from aliquot.eks.estate.estate import (
    RESERVATIONS,
    Estate,
    Nodegroup,
    Reservation,
    SecurityGroup,
    Template,
)
from aliquot.eks.estate.places import GROUP_LABEL, POOL_LABEL
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.pools import Pool, gpu_families, pool_name, pools
from aliquot.eks.preflight.surge import nodes_on_top
from aliquot.eks.versions import changes
from aliquot.eks.versions.drivers import Family
from aliquot.eks.versions.minor import Minor

CHECK = "gpu-capacity"

_CONTROL_PLANE_S = 45 * 60.0
"""With its add-ons, for each hop."""
_NODE_S = 20 * 60.0
"""Emptied, ended, made anew and ready: for each batch. GPU nodes of the large types take their time to boot."""
_ENDED_BEFORE_S = 30 * 60.0
"""So long before the end of a block EC2 begins to end its instances (EC2 user guide, Capacity Blocks)."""
_SOON_S = 24 * 3600.0
_MINIMAL = "set its update strategy to MINIMAL (UpdateNodegroupConfig): an old node goes first, and its place is free"
_CAPACITY_TYPE = "karpenter.sh/capacity-type"


def judge(estate: Estate, to: Minor) -> Iterator[Finding]:
    for pool in pools(estate):
        families = gpu_families(estate, pool)
        if not families:
            continue
        if pool.group is None:
            yield from _karpenter(pool)
            continue
        template = next(iter(estate.templates_of(pool.group)), None)
        yield from _group(estate, pool.group, template, families, to)
        if template is not None:
            yield from _efa(estate, pool.group, template)


def _group(
    estate: Estate,
    group: Nodegroup,
    template: Template | None,
    families: tuple[Family, ...],
    to: Minor,
) -> Iterator[Finding]:
    on_top = nodes_on_top(estate, group)
    if group.strategy == "DEFAULT" and group.desired and not on_top:
        # Its subnets were not read; one more there is in any case.
        on_top = group.most_unavailable
    named = template.reservation if template is not None else ""
    reservation = next((one for one in estate.reservations if one.id == named), None)
    is_block = group.capacity == "CAPACITY_BLOCK" or (
        template is not None and template.market == "capacity-block"
    )
    if reservation is not None:
        if reservation.ends_s is not None:
            yield from _end(estate, group, reservation, to)
        if on_top > reservation.available:
            yield _found(
                group,
                Severity.BLOCK,
                f"with the strategy DEFAULT {counted(on_top, 'node more comes', 'nodes more come')} while it is replaced, and its {_kind(reservation)} {reservation.id} has {reservation.available} of {reservation.total} free: they never come",
                _MINIMAL,
            )
    elif named and not named.startswith("arn:") and estate.was_read(RESERVATIONS):
        yield _found(
            group,
            Severity.BLOCK,
            f"its launch template names the reservation {named}, which is none of its instance types that is there or to come: no new node comes",
            "give the template a reservation that is there",
        )
    elif (named or is_block) and on_top:
        yield _found(
            group,
            Severity.WARN,
            f"it runs on reserved capacity ({named or 'a capacity block'}) of which it is not told how much is free, and with the strategy DEFAULT {counted(on_top, 'node more comes', 'nodes more come')}",
            _MINIMAL,
        )
    elif on_top and not named and any(family.scarce for family in families):
        scarce = next(family for family in families if family.scarce)
        yield _found(
            group,
            Severity.WARN,
            f"with the strategy DEFAULT {counted(on_top, 'node', 'nodes')} more of {scarce.name} {'comes' if on_top == 1 else 'come'} while it is replaced; on demand there often are none (InsufficientInstanceCapacity), and the group is then DEGRADED",
            f"{_MINIMAL}; or reserve capacity for them",
        )
    if template is not None and template.placement_group and on_top:
        yield _found(
            group,
            Severity.WARN,
            f"{counted(on_top, 'node more has', 'nodes more have')} to find a place in the placement group {template.placement_group}, which may be full",
            _MINIMAL,
        )


def _end(estate: Estate, group: Nodegroup, reservation: Reservation, to: Minor) -> Iterator[Finding]:
    assert reservation.ends_s is not None
    hops = max(1, to.minus(estate.cluster.minor))
    batches = -(-group.desired // max(1, group.most_unavailable))
    rolled_s = estate.read_s + hops * (_CONTROL_PLANE_S + batches * _NODE_S)
    usable_s = reservation.ends_s - (_ENDED_BEFORE_S if reservation.block else 0.0)
    what = f"its {_kind(reservation)} {reservation.id} is to be used until {_at(usable_s)}"
    if usable_s < rolled_s:
        yield _found(
            group,
            Severity.BLOCK,
            f"{what}, before the nodes would be replaced (about {_at(rolled_s)}): no new node comes after that",
            "upgrade after it has ended, or extend it",
        )
    elif usable_s < rolled_s + _SOON_S:
        yield _found(
            group,
            Severity.WARN,
            f"{what}, less than a day after the nodes would be replaced (about {_at(rolled_s)})",
            "begin in time, or upgrade after it has ended",
        )


def _efa(estate: Estate, group: Nodegroup, template: Template) -> Iterator[Finding]:
    if not template.efa:
        return
    ids = template.security_groups or estate.cluster.security_groups
    known = [one for one in estate.security_groups if one.id in ids]
    if known and not any(one.from_itself and one.to_itself for one in known):
        yield Finding(
            check=CHECK,
            severity=changes.row("efa-egress").severity,
            what=pool_name(GROUP_LABEL, group.name),
            where=f"security group {', '.join(one.id for one in known)}",
            why=f"its {template.efa} EFA interfaces have no security group that lets all traffic {_lacks(known)} itself: new nodes do not reach each other by EFA, and NCCL falls back to TCP or hangs",
            fix="add a rule of all traffic whose source and one whose destination is the security group itself",
        )


def _lacks(known: list[SecurityGroup]) -> str:
    if any(one.from_itself for one in known):
        return "out to"
    return "in from" if any(one.to_itself for one in known) else "in from and out to"


def _karpenter(pool: Pool) -> Iterator[Finding]:
    reserved = [
        node.metadata.name
        for node in pool.nodes
        if POOL_LABEL in node.metadata.labels and node.metadata.labels.get(_CAPACITY_TYPE) == "reserved"
    ]
    if reserved:
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=pool.name,
            why=f"{len(reserved)} of its nodes {'is' if len(reserved) == 1 else 'are'} on reserved capacity: Karpenter makes a new node before the old one goes, for which there is no room, so they stay as they are (kubernetes-sigs/karpenter#2905)",
            fix="aliquot eks upgrade deletes their NodeClaims itself; without it delete them one by one, once the control plane is upgraded",
        )


def _kind(reservation: Reservation) -> str:
    return "capacity block" if reservation.block else "reservation"


def _at(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _found(group: Nodegroup, severity: Severity, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=severity, what=pool_name(GROUP_LABEL, group.name), why=why, fix=fix)
