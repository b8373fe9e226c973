"""KAI's PodGroup: its pod-grouper names one in the annotation `pod-group-name`."""

from aliquot.kube import duration
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.resources import Resource
from aliquot.scheduler.core.jobs import Group, TopologyWish
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import (
    Drawn,
    Part,
    Refused,
    Served,
    job_key,
    leaf_of,
    reference,
    tree,
    value,
)
from aliquot.scheduler.grouping.wishes import NEVER_S, preemptible

PODGROUPS = Resource("scheduling.run.ai", "v2alpha2", "podgroups", "PodGroup")


class TopologyConstraint(Wire, kw_only=True, frozen=True):
    topology: str = ""
    required_topology_level: str = ""
    preferred_topology_level: str = ""


class SubGroup(Wire, kw_only=True, frozen=True):
    name: str
    parent: str | None = None
    min_member: int | None = None
    min_sub_group: int | None = None
    topology_constraint: TopologyConstraint | None = None


class PodGroupSpec(Wire, kw_only=True, frozen=True):
    min_member: int | None = None
    min_sub_group: int | None = None
    sub_groups: tuple[SubGroup, ...] | None = None
    queue: str = ""
    priority_class_name: str = ""
    preemptibility: str = ""
    topology_constraint: TopologyConstraint | None = None
    staleness_grace_period: str | None = None


class PodGroup(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: PodGroupSpec = PodGroupSpec()


def draw(pod: Pod, groups: Served[PodGroup]) -> Drawn | None:
    name = value(pod.metadata, keys.KAI_POD_GROUP)
    if not name or not groups.is_open:
        return None
    namespace = pod.metadata.namespace
    group = groups.get(f"{namespace}/{name}")
    if group is None:
        raise Refused(
            f"PodGroup {namespace}/{name} of {PODGROUPS.group}, which the pod's annotation "
            f"{keys.KAI_POD_GROUP} names, does not exist"
        )
    spec = group.spec
    root = _root(group)
    return Drawn(
        source=reference(PODGROUPS.api_version, PODGROUPS.kind, group.metadata),
        key=job_key(namespace, PODGROUPS.kind, PODGROUPS.group, name),
        root=root,
        leaf=leaf_of(root, pod.metadata, keys.SUB_GROUPS),
        metadata=(group.metadata,),
        created=group.metadata.creation_timestamp,
        queue=spec.queue,
        priority_class=spec.priority_class_name,
        preemptible=preemptible(f"preemptibility of PodGroup {name}", spec.preemptibility)
        if spec.preemptibility
        else None,
        preemptible_by_priority=True,
        stale_after_s=_stale_after_s(spec.staleness_grace_period, name),
    )


def _root(group: PodGroup) -> Group:
    spec = group.spec
    where = f"PodGroup {group.metadata.name} of {PODGROUPS.group}"
    if not spec.sub_groups:
        return Group(minimum=max(spec.min_member or 1, 1), topology=_wish(spec.topology_constraint))
    # Before its release 0.17 the PodGroup's minMember was the sum of the sub-groups'.
    parts = [
        Part(
            one.name,
            one.parent or "",
            one.min_member if one.min_member is not None else one.min_sub_group,
            _wish(one.topology_constraint),
        )
        for one in spec.sub_groups
    ]
    return tree(parts, spec.min_sub_group, _wish(spec.topology_constraint), where)


def _wish(constraint: TopologyConstraint | None) -> TopologyWish | None:
    if constraint is None or not (constraint.required_topology_level or constraint.preferred_topology_level):
        return None
    return TopologyWish(
        constraint.topology,
        required=constraint.required_topology_level,
        preferred=constraint.preferred_topology_level,
    )


def _stale_after_s(text: str | None, name: str) -> float | None:
    if not text:
        return None
    if text.startswith("-"):
        return NEVER_S
    try:
        return duration.seconds(text)
    except ValueError as error:
        raise Refused(f"PodGroup {name}: stalenessGracePeriod: {error}") from None
