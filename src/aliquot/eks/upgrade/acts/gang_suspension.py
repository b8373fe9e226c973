"""Before the nodes of GPU groups or pools go: every gang on them saves what it has done, and is suspended as a whole. After: they go on.

The nodes are cordoned first, so that nobody comes to them any more. A gang that a person has suspended is left alone, both times. What
was done to a gang it says itself (`gpu_roll.marks`), in the same write: whoever comes after a death looks, and goes on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from aliquot.clock import rfc3339
from aliquot.counting import counted
from aliquot.eks.estate.gangs import Gang, Root
from aliquot.eks.estate.job_kinds import Way
from aliquot.eks.estate.objects import Pod
from aliquot.eks.estate.places import is_pool, place
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll import checkpoints, writing
from aliquot.eks.upgrade.gpu_roll.marks import SUSPENDED_BY
from aliquot.eks.upgrade.gpu_roll.reading import Scene, scene
from aliquot.eks.upgrade.gpu_roll.restoring import is_of
from aliquot.eks.upgrade.verdicts import Done, Errand, Hold, Keep, Verdict, Wait, Write, Writes
from aliquot.eks.versions.minor import Minor
from aliquot.kube.api.checkpoint import LAST
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import PODS

POLL_S = 10.0
HOOKS_S = 60.0
"""All of them together, each time that they are asked: less than a runner's lease."""
_HOOKS_AT_ONCE = 16
SCALE = "scale"
EVICT = "evict"
"""What a person may decide of gangs that cannot be suspended: none of their pods for a while, or eviction by EKS."""
_NAMED = 5
AS_WRITTEN = {"places": "groups"}
"""In plans and journals they have been called so since there were groups alone."""


class SuspendGangs(Struct, frozen=True, kw_only=True, tag="suspend-gangs", rename=AS_WRITTEN):
    cluster: str
    places: tuple[str, ...]
    """Node groups and NodePools, by `estate.places`."""
    minor: Minor | None = None
    """Nodes of a NodePool that are of it stay, and whoever runs there."""
    deadline_s: float = 900.0
    """For the checkpoint. Who has none by then is suspended without."""
    leave_s: float = 900.0
    """For pods to be gone, from then on."""
    may_scale: bool = False
    """What has no other way is scaled to none."""
    may_evict: bool = False
    """What has no way at all is left to be evicted."""
    may_stay: bool = False
    """What has no way at all is left where it is, and waited for later."""


class Record(Struct, frozen=True, kw_only=True, rename=AS_WRITTEN):
    """Of a gang, as it was: kept before anything is done to it."""

    name: str
    roots: tuple[str, ...]
    targets: tuple[str, ...]
    """What is written to."""
    pods: int
    nodes: tuple[str, ...]
    places: tuple[str, ...]
    asked_s: float


async def look_to_suspend(act: SuspendGangs, doors: Doors) -> Scene:
    return await scene(doors.kube)


def judged_to_suspend(act: SuspendGangs, seen: Scene, attempt: Attempt) -> Verdict:
    of_node, going = seen.of_node, _going(act, seen)
    ever = records(attempt.kept, f"{attempt.step}/gangs/")
    begun = {root for record in ever for root in record.roots}
    # What was asked before a person said to try again is asked anew.
    kept = sorted((one for one in ever if one.asked_s >= attempt.began_s), key=lambda one: one.asked_s)
    of_root = {root: record for record in kept for root in record.roots}
    gangs = [
        gang
        for gang in seen.gangs
        if going.intersection(gang.nodes) or any(one.key in begun for one in gang.roots)
    ]
    ours = [gang for gang in gangs if not _left(act, gang, attempt)]
    against = _against(act, seen, ours, attempt)
    if against is not None:
        return against
    to_cordon = [
        writing.cordon(node, attempt.run)
        for node in seen.nodes
        if node.metadata.name in going and not node.spec.unschedulable
    ]
    if to_cordon:
        return Writes(tuple(to_cordon))
    fresh = [
        gang for gang in ours if any(one.key not in of_root for one in gang.roots) and _open(gang, attempt)
    ]
    if fresh:
        number = sum(1 for name in attempt.kept if name.startswith(f"{attempt.step}/gangs/"))
        return Keep(
            f"{attempt.step}/gangs/{number}",
            msgspec.to_builtins([_record(gang, of_node, attempt.now_s) for gang in fresh]),
        )
    asked, due, waiting = _sorted(act, ours, of_root, attempt)
    if asked is not None:
        return asked
    if due:
        return _suspended(act, due, of_root, attempt)
    here = _still_there(act, seen, ours)
    if here or waiting:
        return _waiting(act, here, waiting, kept, attempt)
    return Done(_told(act, ever, gangs, ours, attempt))


def _against(act: SuspendGangs, seen: Scene, ours: Sequence[Gang], attempt: Attempt) -> Hold | None:
    """Before anybody is suspended: so that nobody stands still while a person thinks it over."""
    stuck = [gang for gang in ours if _unsuspendable(act, gang, attempt)]
    if stuck:
        return Hold(
            "; ".join(f"{gang} cannot be suspended: {gang.why}" for gang in stuck[:_NAMED]) + _more(stuck),
            f"let it end, or say what is to become of it: aliquot eks retry {act.cluster} --gangs {SCALE} (none of its pods for a while), or --gangs {EVICT} (EKS evicts them)",
        )
    going = _going(act, seen)
    resumed = [
        root
        for gang in ours
        if going.intersection(gang.nodes)
        for root in gang.roots
        if _mark(root) == attempt.run and not root.is_suspended
    ]
    if resumed:
        return Hold(
            f"{resumed[0]} was suspended by this run, and somebody has resumed it",
            f"suspend it again, or take its annotation {SUSPENDED_BY} away; then retry",
        )
    return None


def _sorted(
    act: SuspendGangs, ours: Sequence[Gang], of_root: Mapping[str, Record], attempt: Attempt
) -> tuple[Writes | Errand | None, list[Gang], list[Gang]]:
    """What to ask for first; who is due; who still saves."""
    due: list[Gang] = []
    waiting: list[Gang] = []
    writes: list[Write] = []
    for gang in ours:
        if not _open(gang, attempt):
            continue
        asked_s = of_root[gang.name].asked_s
        if (
            not checkpoints.wanted(gang)
            or checkpoints.saved(gang, asked_s, attempt.now_s)
            or attempt.now_s - asked_s >= act.deadline_s
        ):
            due.append(gang)
        else:
            waiting.append(gang)
            if pods := checkpoints.unasked(gang, asked_s):
                writes += writing.ask(gang, pods, asked_s)
    if writes:
        return Writes(tuple(writes)), due, waiting
    calls = [
        {
            "namespace": pod.metadata.namespace,
            "pod": pod.metadata.name,
            "port": hook.port,
            "path": hook.path,
            "requested": rfc3339(of_root[gang.name].asked_s),
        }
        for gang in waiting
        for pod, hook in checkpoints.hooks(gang)
    ]
    return (Errand("hooks", {"calls": calls}) if calls and not due else None), due, waiting


def _suspended(
    act: SuspendGangs, due: Sequence[Gang], of_root: Mapping[str, Record], attempt: Attempt
) -> Verdict:
    late = [
        gang.name
        for gang in due
        if checkpoints.wanted(gang) and not checkpoints.saved(gang, of_root[gang.name].asked_s, attempt.now_s)
    ]
    prefix = f"{attempt.step}/late/"
    known = [name for key, names in attempt.kept.items() if key.startswith(prefix) for name in names]
    if fresh := [name for name in late if name not in known]:
        number = sum(1 for key in attempt.kept if key.startswith(prefix))
        return Keep(f"{prefix}{number}", fresh)
    return Writes(
        tuple(
            writing.suspend(root, attempt.run, act.places)
            for gang in due
            for root in gang.roots
            if _to_suspend(root, attempt)
        )
    )


def _still_there(act: SuspendGangs, seen: Scene, ours: Sequence[Gang]) -> list[Pod]:
    going = _going(act, seen)
    return [pod for gang in ours for pod in gang.pods if pod.spec.node_name in going]


def _going(act: SuspendGangs, seen: Scene) -> frozenset[str]:
    """Names of the nodes that are to be replaced. A group's are all so; a pool gets new ones whenever pods need them, also meanwhile."""
    return frozenset(
        node.metadata.name
        for node in seen.within(act.places)
        if act.minor is None
        or not is_pool(place(node.metadata.labels))
        or not is_of(node.status.node_info.kubelet_version, act.minor)
    )


def _waiting(
    act: SuspendGangs,
    here: Sequence[Pod],
    waiting: Sequence[Gang],
    kept: Sequence[Record],
    attempt: Attempt,
) -> Verdict:
    if waiting:
        return Wait(POLL_S, f"waits for a checkpoint of {_names(waiting)}")
    since_s = max([attempt.began_s, *(record.asked_s + act.deadline_s for record in kept)])
    pods = [f"{pod.metadata.namespace}/{pod.metadata.name} on {pod.spec.node_name}" for pod in here]
    if attempt.now_s - since_s < act.leave_s:
        return Wait(POLL_S, f"waits for {counted(len(pods), 'pod', 'pods')} to be gone: {_names(pods)}")
    return Hold(
        f"pods of suspended gangs are not gone after {act.leave_s:.0f} s: {_names(pods)}",
        "see what keeps them (finalizers, a long grace period, a node that does not answer), then retry",
    )


def _told(
    act: SuspendGangs,
    kept: Sequence[Record],
    gangs: Sequence[Gang],
    ours: Sequence[Gang],
    attempt: Attempt,
) -> str:
    late = {
        name
        for key, names in attempt.kept.items()
        if key.startswith(f"{attempt.step}/late/")
        for name in names
    }
    names = [
        name + (" (without a checkpoint)" if name in late else "")
        for name in sorted({record.name for record in kept})
    ]
    told = f"suspended: {_names(names)}" if names else "there was no gang to suspend"
    left = [gang for gang in gangs if gang not in ours]
    how = "to end by themselves" if act.may_stay and not act.may_evict else "to be evicted"
    return f"{told}; left {how}: {_names(left)}" if left else told


def decided(kind: str, attempt: Attempt) -> bool:
    return any(one.kind == kind and one.step in ("", attempt.step) for one in attempt.decisions)


def _left(act: SuspendGangs, gang: Gang, attempt: Attempt) -> bool:
    """To be evicted, as the plan or a person says, or to end by itself."""
    left = act.may_evict or act.may_stay or decided(EVICT, attempt)
    scale = act.may_scale or decided(SCALE, attempt)
    return left and (gang.way is Way.NONE or (gang.way is Way.SCALE and not scale))


def _unsuspendable(act: SuspendGangs, gang: Gang, attempt: Attempt) -> bool:
    if all(root.is_suspended for root in gang.roots):
        return False
    scale = act.may_scale or decided(SCALE, attempt)
    return gang.way is Way.NONE or (gang.way is Way.SCALE and not scale)


def _mark(root: Root) -> str:
    return root.target.metadata.annotations.get(SUSPENDED_BY, "") if root.target is not None else ""


def _to_suspend(root: Root, attempt: Attempt) -> bool:
    return root.target is not None and not root.is_suspended and _mark(root) != attempt.run


def _open(gang: Gang, attempt: Attempt) -> bool:
    """Something of it is still to be suspended."""
    return any(_to_suspend(root, attempt) for root in gang.roots)


def _record(gang: Gang, of_node: Mapping[str, str], now_s: float) -> Record:
    return Record(
        name=gang.name,
        roots=tuple(root.key for root in gang.roots),
        targets=tuple(str(root.target) for root in gang.roots if root.target is not None),
        pods=len(gang.pods),
        nodes=gang.nodes,
        places=gang.places(of_node),
        asked_s=now_s,
    )


def records(kept: Mapping[str, Any], prefix: str) -> list[Record]:
    """In what was kept under names that begin so."""
    return [
        record
        for name, value in kept.items()
        if name.startswith(prefix)
        for record in msgspec.convert(value, list[Record])
    ]


def _names(found: Sequence[object]) -> str:
    return ", ".join(str(one) for one in found[:_NAMED]) + _more(found)


def _more(found: Sequence[object]) -> str:
    return f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""


async def ask_hooks(act: SuspendGangs, doors: Doors, parameters: Mapping[str, Any]) -> None:
    """Who answers has saved: that is written on its pod. The others are asked again."""
    few = asyncio.Semaphore(_HOOKS_AT_ONCE)
    try:
        async with asyncio.timeout(HOOKS_S):
            answered = await asyncio.gather(*(_ask_one(doors, call, few) for call in parameters["calls"]))
    except TimeoutError:
        return
    if not any(answered):
        await asyncio.sleep(POLL_S)


async def _ask_one(doors: Doors, call: Mapping[str, Any], few: asyncio.Semaphore) -> bool:
    async with few:
        try:
            if not await _answers(doors.kube, call):
                return False
            body = {"metadata": {"annotations": {LAST: rfc3339(doors.clock.now())}}}
            await doors.kube.patch(PODS, call["pod"], body, call["namespace"])
        except ApiError:
            return False
    return True


async def _answers(kube: Client, call: Mapping[str, Any]) -> bool:
    try:
        await kube.create(
            PODS,
            {"requested": call["requested"]},
            call["namespace"],
            name=f"{call['pod']}:{call['port']}",
            subresource=f"proxy/{call['path']}",
        )
    except ApiError as error:
        # An answer that is no JSON is an answer.
        return isinstance(error.__cause__, msgspec.DecodeError)
    return True


SUSPEND = Doing(look=look_to_suspend, judge=judged_to_suspend, errands={"hooks": ask_hooks})
