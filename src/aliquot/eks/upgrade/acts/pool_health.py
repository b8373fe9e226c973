"""A NodePool of Karpenter after its roll: are the nodes that came well and of the new minor, do they offer GPUs, and does nobody wait?"""

from collections.abc import Iterator

from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.estate import karpenter
from aliquot.eks.estate.gangs import GPU_PREFIXES
from aliquot.eks.estate.karpenter import NODECLAIMS, Claim
from aliquot.eks.estate.places import POOL_LABEL
from aliquot.eks.upgrade.acts.pool_roll import Begun, begun_of
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll import restoring
from aliquot.eks.upgrade.gpu_roll.layouts import SeenNode, seen_node
from aliquot.eks.upgrade.node_health import Pod, judged_nodes, of_daemons, waiting
from aliquot.eks.upgrade.pool_scene import listed
from aliquot.eks.upgrade.verdicts import Verdict
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import NODES, PODS

_WHOLE = "nvidia.com/gpu"


class PoolHealth(Struct, frozen=True, kw_only=True, tag="pool-health"):
    name: str
    minor: Minor
    settle_s: float = 1800.0
    """Until then nodes may still be on their way: Karpenter begins with them once pods wait."""


class Seen(Struct, frozen=True, kw_only=True):
    claims: tuple[Claim, ...] = ()
    nodes: tuple[SeenNode, ...] = ()
    pods: tuple[Pod, ...] = ()
    """Of the whole cluster."""


async def look(act: PoolHealth, doors: Doors) -> Seen:
    selector = f"{POOL_LABEL}={act.name}"
    nodes = await listed(doors.kube, NODES, selector)
    return Seen(
        claims=tuple(karpenter.claim(one) for one in await listed(doors.kube, NODECLAIMS, selector)),
        nodes=tuple(seen_node(one, None) for one in nodes if "deletionTimestamp" not in one["metadata"]),
        pods=tuple((await doors.kube.list(PODS, into=Pod)).items),
    )


def judged(act: PoolHealth, seen: Seen, attempt: Attempt) -> Verdict:
    begun = begun_of(attempt, act.name)
    troubles = [
        *_of_nodes(act, seen),
        *of_daemons({one.name for one in seen.nodes}, seen.pods),
        *_of_waiting(seen, begun),
        *_of_gpus(seen, begun),
    ]
    return judged_nodes(f"NodePool {act.name}", len(seen.nodes), act.minor, troubles, attempt, act.settle_s)


def _of_nodes(act: PoolHealth, seen: Seen) -> Iterator[str]:
    for node in seen.nodes:
        if not node.ready:
            yield f"node {node.name} is not ready"
        elif not restoring.is_of(node.kubelet, act.minor):
            yield f"node {node.name}: its kubelet is {node.kubelet or 'unknown'}, not {act.minor}"


def _of_waiting(seen: Seen, begun: Begun | None) -> Iterator[str]:
    found = waiting(seen.pods)
    if begun is not None and len(found) > begun.waiting:
        yield f"{counted(len(found), 'pod waits', 'pods wait')} for a node, {begun.waiting} did before (one is {found[0]})"


def _of_gpus(seen: Seen, begun: Begun | None) -> Iterator[str]:
    """As many as its machine has; where they are cut or shared, some. Where none were offered before, nobody does so here."""
    if begun is None or not begun.gpus:
        return
    of_node = {one.node: one.gpus for one in seen.claims}
    for node in seen.nodes:
        gpus, offered = of_node.get(node.name, 0), node.resources.get(_WHOLE, 0)
        others = any(name.startswith(GPU_PREFIXES) and name != _WHOLE for name in node.resources)
        if offered < gpus and not others:
            yield f"node {node.name} offers {offered} of its {gpus} GPUs"


DOING = Doing(look=look, judge=judged)
