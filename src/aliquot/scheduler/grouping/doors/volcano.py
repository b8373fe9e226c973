"""Volcano's PodGroup, named by an annotation. Without Volcano in the cluster the pod's own word on the minimum counts."""

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.resources import Resource
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import (
    OTHERS,
    Drawn,
    Refused,
    Served,
    first,
    job_key,
    number,
    reference,
    said,
    value,
    with_others,
)

PODGROUPS = Resource("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup")

_UNSAID_QUEUE = "default"
"""Volcano writes it where nobody named one."""


class PodGroupSpec(Wire, kw_only=True, frozen=True):
    min_member: int | None = None
    min_task_member: dict[str, int] | None = None
    queue: str = ""
    priority_class_name: str = ""


class PodGroup(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: PodGroupSpec = PodGroupSpec()


def draw(pod: Pod, groups: Served[PodGroup]) -> Drawn | None:
    key, name = first(said((pod.metadata,)), keys.VOLCANO_POD_GROUPS)
    if not name:
        return None
    namespace = pod.metadata.namespace
    job = job_key(namespace, PODGROUPS.kind, PODGROUPS.group, name)
    if not groups.is_open:
        minimum = value(pod.metadata, keys.VOLCANO_MINIMUM)
        if not minimum:
            return None
        return Drawn(
            source=reference("v1", "Pod", pod.metadata),
            key=job,
            root=Group(minimum=number(minimum, keys.VOLCANO_MINIMUM)),
            created=pod.metadata.creation_timestamp,
        )
    group = groups.get(f"{namespace}/{name}")
    if group is None:
        raise Refused(
            f"PodGroup {namespace}/{name} of {PODGROUPS.group} does not exist: create it, or take the annotation "
            f"{key} off the pod"
        )
    spec = group.spec
    root = _root(spec)
    leaf = value(pod.metadata, keys.VOLCANO_TASK) if root.groups else ""
    if root.groups and leaf not in (spec.min_task_member or {}):
        leaf = OTHERS
    return Drawn(
        source=reference(PODGROUPS.api_version, PODGROUPS.kind, group.metadata),
        key=job,
        root=root,
        leaf=leaf,
        metadata=(group.metadata,),
        created=group.metadata.creation_timestamp,
        queue="" if spec.queue == _UNSAID_QUEUE else spec.queue,
        priority_class=spec.priority_class_name,
    )


def _root(spec: PodGroupSpec) -> Group:
    """Tasks have minima of their own where these make up the whole one: Volcano too looks at the sum alone where it is lower."""
    minimum = max(1, spec.min_member or 1)
    tasks = {task: count for task, count in sorted((spec.min_task_member or {}).items()) if count > 0}
    return with_others(tasks) if sum(tasks.values()) == minimum else Group(minimum=minimum)
