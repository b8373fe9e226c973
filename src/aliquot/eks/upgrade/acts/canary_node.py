"""A GPU node of the new release before any other is replaced: does it join, and offer what nodes of its group offer?

It comes with a taint, so that no pod takes it. DaemonSets (the device plugin, the MIG manager) do not tolerate that, but they do
tolerate a cordon: so it is cordoned first, and the taint is taken off then. It is cut as most of the group's nodes are.
"""

from collections.abc import Iterator

from msgspec import Struct

from aliquot.eks.upgrade.acts.gpu_restore import (
    POLL_S,
    STARTUP_TAINT,
    Given,
    SaveGpus,
    look_to_save,
)
from aliquot.eks.upgrade.canaries import left_out, todo, told_left_out
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll import restoring
from aliquot.eks.upgrade.gpu_roll.layouts import SavedGroup, SavedNode, SeenNode, save, usual
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY
from aliquot.eks.upgrade.node_health import Pod, of_daemons
from aliquot.eks.upgrade.staying import evictable
from aliquot.eks.upgrade.verdicts import Done, Hold, Verb, Verdict, Wait, Write, Writes
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import NODES, PODS

_NAMED = 5


class CanaryNode(Struct, frozen=True, kw_only=True, tag="canary-node"):
    cluster: str
    name: str
    """The group that it is alone in."""
    of: str
    minor: Minor
    driver: str = ""
    """The branch that its release has, as far as that is known."""
    limit_s: float = 1800.0


class Seen(Struct, frozen=True, kw_only=True):
    nodes: tuple[SeenNode, ...]
    others: tuple[SeenNode, ...] = ()
    """Of the group that it is tried for."""
    given: Given = Given(group="")
    """By that group to all of its nodes."""
    pods: tuple[Pod, ...] = ()


async def look(act: CanaryNode, doors: Doors) -> Seen:
    found = await look_to_save(SaveGpus(cluster=act.cluster, groups=(act.of, act.name)), doors)
    pods = await doors.kube.list(PODS, into=Pod)
    return Seen(
        nodes=found.nodes[act.name],
        others=found.nodes[act.of],
        given=found.given[0],
        pods=tuple(pods.items),
    )


def judged(act: CanaryNode, seen: Seen, attempt: Attempt) -> Verdict:
    decision = left_out(attempt)
    if decision is not None:
        return Done(told_left_out(decision))
    place = _place(seen)
    to_write = [write for node in seen.nodes for write in _next(node, place, attempt.run)]
    if to_write:
        return Writes(tuple(to_write))
    lacking = [
        *([] if seen.nodes else [f"no node of node group {act.name} is there yet"]),
        *(lack for node in seen.nodes for lack in restoring.lacks(node, place, act.minor, act.driver)),
        *of_daemons({node.name for node in seen.nodes}, seen.pods),
        *_strangers(seen),
    ]
    if not lacking:
        return Done("; ".join(_told(node) for node in seen.nodes))
    if attempt.now_s - attempt.began_s < act.limit_s:
        return Wait(POLL_S, lacking[0])
    more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    return Hold(f"the canary of {act.of} is not well: {'; '.join(lacking[:_NAMED])}{more}", todo(act.of))


def _place(seen: Seen) -> SavedNode:
    """What most nodes of the group have."""
    saved = tuple(save(node, seen.given.labels, seen.given.taints) for node in seen.others)
    return usual(SavedGroup(group=seen.given.group, saved_s=0.0, nodes=saved))


def _next(node: SeenNode, place: SavedNode, run: str) -> Iterator[Write]:
    """One thing after the other: between the cordon and the end of the taint it is looked at again."""
    if not node.unschedulable:
        body = {"metadata": {"annotations": {CORDONED_BY: run}}, "spec": {"unschedulable": True}}
        yield Write(verb=Verb.PATCH, resource=NODES, name=node.name, body=body)
        return
    taint = restoring.without(node, STARTUP_TAINT)
    if taint is not None:
        yield taint
        return
    yield from restoring.writes(node, place)


def _strangers(seen: Seen) -> Iterator[str]:
    """They would be evicted when it goes, and all that belongs to them be cut."""
    names = {node.name for node in seen.nodes}
    for pod in seen.pods:
        if pod.spec.node_name in names and evictable(pod.metadata, pod.status.phase):
            yield f"pod {pod.metadata.namespace}/{pod.metadata.name} came to {pod.spec.node_name} before that was cordoned: let it end, or move it"


def _told(node: SeenNode) -> str:
    offers = ", ".join(f"{amount} {name}" for name, amount in sorted(node.resources.items()))
    driver = f", driver {node.driver}" if node.driver else ""
    return (
        f"{node.name} is well: kubelet {node.kubelet}{driver}; it offers {offers or 'no GPUs, as the others'}"
    )


DOING = Doing(look=look, judge=judged)
