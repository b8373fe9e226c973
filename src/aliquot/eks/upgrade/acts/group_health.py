"""A node group after its roll: are its nodes there, of the new minor, and well, and is there nobody who waits for room?"""

from collections.abc import Iterator

from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.estate.gangs import GPU_PREFIXES
from aliquot.eks.upgrade.acts.gpu_restore import nodes_of, saved_of
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll import restoring
from aliquot.eks.upgrade.gpu_roll.layouts import SeenNode
from aliquot.eks.upgrade.gpu_roll.marks import RESTORED_FROM
from aliquot.eks.upgrade.node_health import Pod, judged_nodes, of_daemons, of_waiting
from aliquot.eks.upgrade.verdicts import Verdict
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import PODS


class GroupHealth(Struct, frozen=True, kw_only=True, tag="group-health"):
    cluster: str
    group: str
    minor: Minor
    settle_s: float = 900.0
    """Until then nodes may still be on their way."""


class Seen(Struct, frozen=True, kw_only=True):
    desired: int
    status: str
    nodes: tuple[SeenNode, ...]
    pods: tuple[Pod, ...] = ()
    """Of the whole cluster."""


async def look(act: GroupHealth, doors: Doors) -> Seen:
    told = await doors.api.call("eks", "DescribeNodegroup", clusterName=act.cluster, nodegroupName=act.group)
    group = told["nodegroup"]
    nodes = await nodes_of(doors.kube, (act.group,))
    pods = await doors.kube.list(PODS, into=Pod)
    return Seen(
        desired=group["scalingConfig"]["desiredSize"],
        status=group["status"],
        nodes=nodes[act.group],
        pods=tuple(pods.items),
    )


def judged(act: GroupHealth, seen: Seen, attempt: Attempt) -> Verdict:
    troubles = [
        *_of_nodes(act, seen),
        *of_daemons({node.name for node in seen.nodes}, seen.pods),
        *of_waiting(seen.pods, attempt),
        *_of_gpus(act, seen, attempt),
    ]
    return judged_nodes(
        f"node group {act.group}", len(seen.nodes), act.minor, troubles, attempt, act.settle_s
    )


def _of_nodes(act: GroupHealth, seen: Seen) -> Iterator[str]:
    if seen.status != "ACTIVE":
        yield f"EKS says that it is {seen.status}"
    well = 0
    for node in seen.nodes:
        if not node.ready:
            yield f"node {node.name} is not ready"
        elif not restoring.is_of(node.kubelet, act.minor):
            yield f"node {node.name}: its kubelet is {node.kubelet or 'unknown'}, not {act.minor}"
        else:
            well += 1
    if well < seen.desired:
        yield f"{well} of {counted(seen.desired, 'node is', 'nodes are')} there and well"


def _of_gpus(act: GroupHealth, seen: Seen, attempt: Attempt) -> Iterator[str]:
    """Who has been cut again offers what was offered before; who has not, offers something."""
    saved = saved_of(act.group, attempt)
    if saved is None:
        return
    for node, place in restoring.places(saved, seen.nodes):
        if RESTORED_FROM in node.annotations:
            yield from restoring.lacks_resources(node, place)
        elif any(name.startswith(GPU_PREFIXES) for name in place.resources) and not any(
            name.startswith(GPU_PREFIXES) for name in node.resources
        ):
            yield f"node {node.name} offers no GPUs"


DOING = Doing(look=look, judge=judged)
