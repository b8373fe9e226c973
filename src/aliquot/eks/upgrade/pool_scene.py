"""A NodePool of Karpenter, its NodeClaims and nodes as they are, and whether new nodes would be of a minor."""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from aliquot.eks.estate import karpenter
from aliquot.eks.estate.karpenter import (
    DEFAULT_BUDGETS,
    DO_NOT_DISRUPT,
    NODECLAIMS,
    NODECLASSES,
    NODEPOOLS,
    Claim,
    NodeClass,
    Pool,
)
from aliquot.eks.estate.places import POOL_LABEL
from aliquot.eks.upgrade import frozen
from aliquot.eks.upgrade.gpu_roll.layouts import SeenNode, seen_node
from aliquot.eks.upgrade.gpu_roll.restoring import is_of
from aliquot.eks.upgrade.node_health import Pod, waiting
from aliquot.eks.upgrade.staying import who_stays
from aliquot.eks.upgrade.verdicts import Hold, Wait
from aliquot.eks.versions.minor import Minor
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import NODES, PODS, Resource

CLASS_S = 1800.0
"""For Karpenter to find the AMIs of a minor. It looks every five minutes, and as often for the minor."""
_CLASS_LOOK_S = 30.0
_NO_NODE = SeenNode(name="")


class PoolScene(Struct, frozen=True, kw_only=True):
    name: str
    pool: Pool | None
    """With the budgets that it has when it does not stand still; None: there is none any more."""
    node_class: NodeClass | None = None
    claims: tuple[Claim, ...] = ()
    nodes: tuple[SeenNode, ...] = ()
    waiting: tuple[str, ...] = ()
    staying: tuple[str, ...] = ()
    """Pods on nodes that are going."""

    def behind(self, minor: Minor) -> list[Claim]:
        """Of another minor, the oldest first."""
        found = [one for one in self.claims if one.kubelet and not is_of(one.kubelet, minor)]
        return sorted(found, key=lambda one: (one.made, one.name))

    def due(self, minor: Minor) -> list[Claim]:
        """Of these, what may be deleted, and is not yet."""
        return [one for one in self.behind(minor) if not one.leaving and not one.held]

    @property
    def class_named(self) -> str:
        if self.node_class is not None:
            return f"EC2NodeClass {self.node_class.name}"
        return f"EC2NodeClass {self.pool.node_class}".strip() if self.pool is not None else "its EC2NodeClass"


async def pool_scene(kube: Client, name: str) -> PoolScene:
    told = await _get(kube, NODEPOOLS, name)
    pool = None if told is None else karpenter.pool(told, _budgets(told))
    of_class = (
        await _get(kube, NODECLASSES, pool.node_class) if pool is not None and pool.node_class else None
    )
    selector = f"{POOL_LABEL}={name}"
    nodes = [seen_node(one, None) for one in await listed(kube, NODES, selector)]
    of_name = {one.name: one for one in nodes}
    claims = []
    for one in await listed(kube, NODECLAIMS, selector):
        node = of_name.get((one.get("status") or {}).get("nodeName", ""), _NO_NODE)
        held = node.annotations.get(DO_NOT_DISRUPT) == "true"
        claims.append(karpenter.claim(one, node.kubelet, held=held))
    going = {one.node for one in claims if one.leaving and one.node}
    return PoolScene(
        name=name,
        pool=pool,
        node_class=None if of_class is None else karpenter.node_class(of_class),
        claims=tuple(claims),
        nodes=tuple(nodes),
        waiting=waiting((await kube.list(PODS, into=Pod)).items),
        staying=await who_stays(kube, going) if going else (),
    )


def _budgets(told: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Before it was told to stand still."""
    way = next(number for number, one in enumerate(frozen.WAYS) if one.resource == NODEPOOLS)
    thing = frozen.thing(way, told)
    found = json.loads(thing.was) if thing.by and thing.was else thing.value
    return DEFAULT_BUDGETS if found is None else found


async def _get(kube: Client, resource: Resource, name: str) -> dict[str, Any] | None:
    try:
        return await kube.get(resource, name)
    except NotFound:
        return None


async def listed(kube: Client, resource: Resource, selector: str) -> list[dict[str, Any]]:
    try:
        return (await kube.list(resource, label_selector=selector)).items
    except NotFound:
        # Karpenter is not there any more.
        return []


def against_class(
    seen: PoolScene, minor: Minor, waited_s: float, *, afterwards: bool = False
) -> Wait | Hold | None:
    """None: new nodes will be of the minor, as far as that can be known, or none is to be replaced. `afterwards`: also then, and the
    control plane is of the minor again."""
    due = seen.due(minor)
    if not due and (not afterwards or seen.node_class is None):
        return None
    if seen.pool is None:
        return Hold(
            f"NodePool {seen.name} is gone, and node {due[0].node} of it is there",
            "make the pool anew, or delete its NodeClaims; then retry",
        )
    if seen.node_class is None:
        return Hold(
            f"NodePool {seen.name}: {seen.class_named} is not there, and no new node would come",
            "make it, or move the pool to another one; then retry",
        )
    old = {one.image for one in due}
    wrong = [
        one for one in seen.node_class.images if (one.id in old if one.minor is None else one.minor != minor)
    ]
    if seen.node_class.images and not wrong:
        return None
    has = (
        f"AMIs of {wrong[0].minor}"
        if wrong and wrong[0].minor is not None
        else f"{wrong[0].id}, which the nodes have that are to go"
        if wrong
        else "no AMI"
    )
    what = f"NodePool {seen.name}: {seen.class_named} ({seen.node_class.how}) selects {has}"
    newer = not afterwards and any(one.minor is not None and one.minor > minor for one in wrong)
    if not seen.node_class.alias:
        return Hold(what, f"let it select AMIs of {minor} (spec.amiSelectorTerms), then retry")
    if newer:
        return Hold(
            what,
            f"an alias follows the control plane: until that is back select AMIs of {minor} by ssmParameter or name, with amiFamily; then retry",
        )
    if waited_s < CLASS_S:
        return Wait(_CLASS_LOOK_S, f"{what}: Karpenter looks for those of {minor} every few minutes")
    return Hold(
        what,
        f"see Karpenter's log, and whether AWS has that release for {minor}: set an alias that it has, then retry",
    )
