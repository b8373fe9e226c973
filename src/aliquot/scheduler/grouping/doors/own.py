"""Our own PodGroup: the label `aliquot.dev/pod-group` names one of the pod's namespace."""

from aliquot.kube import duration
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import API_VERSION, GROUP
from aliquot.kube.api.podgroup import Ended, PodGroup, Preemptibility, TopologyConstraint
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


def key_of(namespace: str, name: str) -> str:
    """Of the job that a PodGroup makes."""
    return job_key(namespace, "PodGroup", GROUP, name)


def draw(pod: Pod, groups: Served[PodGroup]) -> Drawn | None:
    name = value(pod.metadata, keys.POD_GROUP)
    if not name or not groups.is_open:
        return None
    namespace = pod.metadata.namespace
    group = groups.get(f"{namespace}/{name}")
    if group is None:
        raise Refused(
            f"PodGroup {namespace}/{name} does not exist: create it, or take the label {keys.POD_GROUP} off the pod"
        )
    spec = group.spec
    root = root_of(group)
    return Drawn(
        source=reference(API_VERSION, "PodGroup", group.metadata),
        key=key_of(namespace, name),
        root=root,
        leaf=leaf_of(root, pod.metadata, keys.SUB_GROUPS),
        metadata=(group.metadata,),
        created=group.metadata.creation_timestamp,
        queue=spec.queue,
        priority_class=spec.priority_class_name,
        preemptible=spec.preemptibility is Preemptibility.PREEMPTIBLE,
        max_runtime_s=_seconds(spec.max_runtime, "maxRuntime", name),
        minimum_runtime_s=_seconds(spec.min_runtime, "minRuntime", name),
        stale_after_s=_seconds(spec.staleness_grace_period, "stalenessGracePeriod", name),
        after=tuple((one.name, one.condition is Ended.SUCCEEDED) for one in spec.after),
    )


def root_of(group: PodGroup) -> Group:
    """Raises Refused."""
    spec = group.spec
    where = f"PodGroup {group.metadata.name}"
    if any(one.name == group.metadata.name for one in spec.after):
        raise Refused(f"{where} waits for its own end: take it out of its list `after`")
    if not spec.sub_groups:
        if spec.min_member is None:
            raise Refused(f"{where} says nothing of its size: give minMember or subGroups")
        return Group(minimum=spec.min_member, topology=wish(spec.topology_constraint))
    if spec.min_member is not None:
        raise Refused(f"{where} has minMember and subGroups: give one of them")
    parts = [
        Part(
            one.name,
            one.parent,
            one.min_member if one.min_member is not None else one.min_sub_group,
            wish(one.topology_constraint),
        )
        for one in spec.sub_groups
    ]
    return tree(parts, spec.min_sub_group, wish(spec.topology_constraint), where)


def wish(constraint: TopologyConstraint | None) -> TopologyWish | None:
    if constraint is None:
        return None
    return TopologyWish(
        constraint.topology,
        required=constraint.required_topology_level,
        preferred=constraint.preferred_topology_level,
    )


def _seconds(text: str | None, field: str, name: str) -> float | None:
    if text is None:
        return None
    try:
        return duration.seconds(text)
    except ValueError as error:
        raise Refused(f"PodGroup {name}: {field}: {error}") from None
