"""A node group that another one stands in for is emptied: without EKS' limit of 15 minutes, and without cutting anybody.

Whom nobody can suspend is waited for until it ends by itself; pods of no gang are evicted, within their budgets and a few at a time;
what belongs to its node stays. A pod is never deleted.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.estate.gangs import Gang, counts
from aliquot.eks.estate.group_selectors import stays_behind
from aliquot.eks.estate.job_kinds import Way
from aliquot.eks.estate.objects import Pod
from aliquot.eks.upgrade.acts.gang_suspension import EVICT, decided
from aliquot.eks.upgrade.acts.soak import lasting
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.evictions import eviction, key, may_leave
from aliquot.eks.upgrade.gpu_roll import writing
from aliquot.eks.upgrade.gpu_roll.reading import Scene, scene
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait, Writes
from aliquot.kube.resources import PODDISRUPTIONBUDGETS

_POLL_S = 15.0
_LONG_POLL_S = 60.0
"""Where only jobs are waited for, for hours."""
AT_ONCE = 10
"""Pods of no gang that leave at the same time."""
DAY_S = 86400.0
_NAMED = 5


class GroupDrain(Struct, frozen=True, kw_only=True, tag="group-drain"):
    cluster: str
    group: str
    instead: str
    """The group whose nodes take its pods."""
    limit_s: float = DAY_S
    """From when it begins. What is there then, a person has to see to."""
    may_evict: bool = False
    """Also whom nobody can suspend: it is not waited for."""


class Seen(Struct, frozen=True, kw_only=True):
    scene: Scene
    budgets: tuple[dict[str, Any], ...] = ()


async def look(act: GroupDrain, doors: Doors) -> Seen:
    budgets = (await doors.kube.list(PODDISRUPTIONBUDGETS)).items
    return Seen(scene=await scene(doors.kube), budgets=tuple(budgets))


def left_on(seen: Scene, group: str) -> tuple[Pod, ...]:
    """Pods on its nodes that belong to no node, and have not ended."""
    names = {node.metadata.name for node in seen.within((group,))}
    return tuple(pod for pod in seen.pods if pod.spec.node_name in names and counts(pod))


def judged(act: GroupDrain, seen: Seen, attempt: Attempt) -> Verdict:
    nodes = seen.scene.within((act.group,))
    to_cordon = [writing.cordon(node, attempt.run) for node in nodes if not node.spec.unschedulable]
    if to_cordon:
        return Writes(tuple(to_cordon))
    here = left_on(seen.scene, act.group)
    if not here:
        return Done(
            f"node group {act.group} is empty: its {counted(len(nodes), 'node has', 'nodes have')} nobody's pods"
        )
    waited = [gang for gang in seen.scene.gangs if _is_waited_for(act, gang, here, attempt)]
    of_gangs = {key(pod) for gang in waited for pod in gang.pods}
    alone = [pod for pod in here if key(pod) not in of_gangs]
    bound = [pod for pod in alone if stays_behind(pod.spec, act.group, act.instead)]
    if bound:
        return Hold(
            f"{_names(_pods(bound))} asks for nodes of node group {act.group} by its name, and would run nowhere",
            f"let whoever made it ask for {act.instead}, or for labels of your own; then retry",
        )
    leaving = [pod for pod in alone if pod.metadata.deletion_timestamp]
    may, held = may_leave([pod for pod in alone if pod not in leaving], seen.budgets)
    batch = may[: max(0, AT_ONCE - len(leaving))]
    over = attempt.now_s - attempt.began_s >= act.limit_s
    if batch and not seen.scene.within((act.instead,)):
        return Hold(
            f"node group {act.instead} has no node that could take {_names(_pods(batch))}",
            "see where its nodes are, then retry; or abort or roll back; or move these pods yourself, then retry",
        )
    if batch and not over:
        return Writes(tuple(eviction(pod) for pod in batch))
    stay = [
        *(_waits_for(gang, here) for gang in waited),
        *(f"{_pod(pod)} ({why})" for pod, why in held),
        *(f"{_pod(pod)} (it is leaving)" for pod in leaving),
    ]
    if not over:
        seconds = _POLL_S if held or leaving else _LONG_POLL_S
        return Wait(seconds, f"node group {act.group} empties; there are {_names(stay)}")
    return Hold(
        f"node group {act.group} is not empty after {lasting(act.limit_s)}; there are {_names(stay or _pods(may))}",
        f"see to it that they leave, then retry; or have those that nobody can suspend evicted: aliquot eks retry {act.cluster} --gangs {EVICT}",
    )


def _is_waited_for(act: GroupDrain, gang: Gang, here: Sequence[Pod], attempt: Attempt) -> bool:
    """No gang is evicted unless somebody said so: what can be suspended is by now, and only has to leave."""
    if not {key(pod) for pod in gang.pods}.intersection(key(pod) for pod in here):
        return False
    may_evict = act.may_evict or decided(EVICT, attempt)
    return not (may_evict and gang.way in (Way.NONE, Way.SCALE))


def _waits_for(gang: Gang, here: Sequence[Pod]) -> str:
    there = {key(pod) for pod in here}
    pods = sum(1 for pod in gang.pods if key(pod) in there)
    counted = "1 pod" if pods == 1 else f"{pods} pods"
    return f"{gang} ({counted}; {gang.why or 'it is to leave as a whole'})"


def _pod(pod: Pod) -> str:
    return f"pod {pod.metadata.namespace}/{pod.metadata.name} on {pod.spec.node_name}"


def _pods(pods: Sequence[Pod]) -> list[str]:
    return [_pod(pod) for pod in pods]


def _names(found: Sequence[str]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


DOING = Doing(look=look, judge=judged)
