"""A pod's job, out of all that is said of it.

Who has the word, from the first: a group that the pod names (doors, in their order); YuniKorn's task groups and Spark's labels; the
workload that owns it. Who says nothing of queue, priority and the like leaves it to labels and annotations: of the group, of
the owners from the top, of the pod.

A pod whose group contradicts itself or is not there is a job of its own, with the reason why it is not placed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.core import ObjectReference, Pod, PriorityClass
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.quoted import quoted
from aliquot.kube.resources import key
from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish, least_pods
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.core.topology import GPU_LEVELS
from aliquot.scheduler.grouping import doors
from aliquot.scheduler.grouping.doors import GroupObjects, yunikorn
from aliquot.scheduler.grouping.drawn import Drawn, Refused, reference, said
from aliquot.scheduler.grouping.keys import AFTER_MET, PREFERRED_GPU_LEVEL, REQUIRED_GPU_LEVEL
from aliquot.scheduler.grouping.kinds import spark
from aliquot.scheduler.grouping.owners import Owner, by_owner
from aliquot.scheduler.grouping.sequence import After, read
from aliquot.scheduler.grouping.wishes import NEVER_S, Wishes, wishes

_KAI_PRIORITIES: Mapping[str, int] = {"train": 50, "build-preemptible": 75, "build": 100, "inference": 125}
"""KAI brings these classes along; its users' pods name them."""
_KAI_PREEMPTIBLE_BELOW = 100

ClassOf: TypeAlias = Callable[[str], PriorityClass | None]


@dataclass(frozen=True, slots=True)
class Membership:
    job: JobSpec
    leaf: str
    """The group of `job.root` that the pod is in; empty where it is a job of its own."""
    source: ObjectReference
    """What makes the job: a PodGroup, a workload, the pod."""
    by_status: bool = False
    """It rests on the status of `source` too, which changes far more often than what was asked for."""
    after: tuple[After, ...] = ()
    """Jobs that have to end before it begins, but for those of which its pod says that they have."""


def membership(
    pod: Pod,
    owners: Callable[[], Sequence[Owner]],
    objects: GroupObjects,
    class_of: ClassOf,
) -> Membership:
    """`owners` of the pod from itself up, asked for where they count. `class_of`: the PriorityClass of that name, if there is one.

    What the pods of a job say each for itself may differ: see `joined`.
    """
    try:
        drawn = doors.by_door(pod, objects)
        if drawn is not None:
            return _from_door(pod, drawn, owners, class_of)
        found = owners()
        above = tuple(owner.metadata for owner in reversed(found))
        drawn = yunikorn.draw(pod, above) or spark.draw(pod, above) or by_owner(pod, found)
        if drawn is None:
            drawn = _alone(pod, above)
        return _member(pod, drawn, wishes(said((*drawn.metadata, pod.metadata))), class_of)
    except Refused as refused:
        reason = Reason(Kind.POD_GROUP, str(refused))
        alone = _alone(pod, ())
        return Membership(
            JobSpec(alone.key, created_s=_seconds(alone.created), priority=pod.spec.priority, refusal=reason),
            alone.leaf,
            alone.source,
        )


def joined(first: JobSpec, second: JobSpec) -> JobSpec:
    """The job of two pods that say it of one job. Where what they say differs: the larger minimum, the higher priority, the
    earlier time, the shorter run; it is preemptible if both say so, and evicts others if both may. Two queues are a contradiction.

    In whatever order pods are joined, the outcome is the same.
    """
    assert first.key == second.key and first.root is not None and second.root is not None
    if first == second:
        return first
    refusal = first.refusal or second.refusal
    queues = sorted({first.queue, second.queue} - {""})
    if len(queues) > 1:
        refusal = Reason(Kind.POD_GROUP, "its pods name different queues: give all of them the same")
    never_stale = first.stale_after_s is None or second.stale_after_s is None
    return JobSpec(
        first.key,
        root=max(first.root, second.root, key=lambda root: (least_pods(root), repr(root))),
        queue=queues[0] if queues else "",
        # The first that somebody names, so that it is the same in whatever order.
        user=min({first.user, second.user} - {""}, default=""),
        priority=max(first.priority, second.priority),
        preemptible=first.preemptible and second.preemptible,
        created_s=min(first.created_s, second.created_s),
        max_runtime_s=_least(first.max_runtime_s, second.max_runtime_s),
        minimum_runtime_s=_most(first.minimum_runtime_s, second.minimum_runtime_s),
        stale_after_s=None if never_stale else _most(first.stale_after_s, second.stale_after_s),
        waits=min(
            (one for one in (first.waits, second.waits) if one is not None),
            key=lambda reason: (reason.kind, reason.detail),
            default=None,
        ),
        refusal=refusal,
        evicts=first.evicts and second.evicts,
    )


def unknown(pod: Pod) -> JobSpec:
    """What is known of the job of a pod that has a place, before it is known which that is: what the pod says itself."""
    try:
        wanted = wishes(said((pod.metadata,)))
    except Refused:
        wanted = Wishes()
    return JobSpec(key(pod), None, wanted.queue, wanted.user, priority=pod.spec.priority)


def _from_door(
    pod: Pod,
    drawn: Drawn,
    owners: Callable[[], Sequence[Owner]],
    class_of: ClassOf,
) -> Membership:
    wanted = wishes(said((*drawn.metadata, pod.metadata)))
    if not (drawn.queue or wanted.queue):
        # An operator makes the group and the pods, and leaves the labels on the workload.
        above = tuple(owner.metadata for owner in reversed(owners()))
        told = wishes(said(above))
        wanted = replace(wanted, queue=told.queue, user=wanted.user or told.user)
    return _member(pod, drawn, wanted, class_of)


def _member(pod: Pod, drawn: Drawn, wanted: Wishes, class_of: ClassOf) -> Membership:
    priority, evicts = _standing(pod, drawn, wanted, class_of)
    preemptible = drawn.preemptible if drawn.preemptible is not None else wanted.preemptible
    if preemptible is None:
        by_priority = drawn.preemptible_by_priority or wanted.preemptible_by_priority
        preemptible = priority < _KAI_PREEMPTIBLE_BELOW if by_priority else True
    root = drawn.root
    _check_for_gpus(root, wanted.topology)
    if root is not None and root.topology is None and wanted.topology is not None:
        root = replace(root, topology=wanted.topology)
    stale_after_s = wanted.stale_after_s if drawn.stale_after_s is None else drawn.stale_after_s
    job = JobSpec(
        drawn.key,
        root=root,
        queue=drawn.queue or wanted.queue,
        user=wanted.user,
        priority=priority,
        preemptible=preemptible,
        created_s=_seconds(drawn.created),
        max_runtime_s=_least(drawn.max_runtime_s, wanted.max_runtime_s),
        minimum_runtime_s=wanted.minimum_runtime_s
        if drawn.minimum_runtime_s is None
        else drawn.minimum_runtime_s,
        evicts=evicts,
    )
    if stale_after_s is not None:
        job = msgspec.structs.replace(job, stale_after_s=None if stale_after_s == NEVER_S else stale_after_s)
    return Membership(job, drawn.leaf, drawn.source, drawn.by_status, _after(pod, drawn, wanted))


def _after(pod: Pod, drawn: Drawn, wanted: Wishes) -> tuple[After, ...]:
    namespace = pod.metadata.namespace
    found = tuple(After(f"{namespace}/{name}", with_success) for name, with_success in drawn.after)
    if wanted.after and not found:
        found = read(namespace, wanted.after)
    if not found:
        return ()
    met = (pod.metadata.annotations or {}).get(AFTER_MET, "").split(",")
    return tuple(sorted(one for one in found if one.name.partition("/")[2] not in met))


def _check_for_gpus(root: Group | None, wish: TopologyWish | None) -> None:
    """A pod of its own has no group to be near to; what its GPUs should be is said otherwise."""
    if root is not None or wish is None:
        return
    for instead, level in ((REQUIRED_GPU_LEVEL, wish.required), (PREFERRED_GPU_LEVEL, wish.preferred)):
        if level in GPU_LEVELS:
            raise Refused(
                f"{level} is asked for as the topology level of a pod of its own: give it by annotation {instead}"
            )


def _standing(pod: Pod, drawn: Drawn, wanted: Wishes, class_of: ClassOf) -> tuple[int, bool]:
    """The priority, and whether others may be evicted for it. Both are of the class that counts; without one, as the pod says."""
    evicts = _evicts(pod.spec.preemption_policy)
    if drawn.priority is not None:
        return drawn.priority, evicts
    name = drawn.priority_class or wanted.priority_class
    if not name:
        return pod.spec.priority, evicts
    found = class_of(name)
    if found is not None:
        return found.value, _evicts(found.preemption_policy)
    if (brought_along := _KAI_PRIORITIES.get(name)) is not None:
        return brought_along, evicts
    raise Refused(
        f"its PriorityClass {quoted(name)} does not exist, or is not shown to the scheduler: create it, or name another"
    )


def _evicts(preemption_policy: str) -> bool:
    return preemption_policy != "Never"


def _alone(pod: Pod, above: tuple[ObjectMeta, ...]) -> Drawn:
    return Drawn(
        source=reference("v1", "Pod", pod.metadata),
        key=key(pod),
        root=None,
        metadata=above,
        created=pod.metadata.creation_timestamp,
    )


def _seconds(stamp: str | None) -> float:
    return parse_rfc3339(stamp) if stamp else 0.0


def _least(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _most(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)
