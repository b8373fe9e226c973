"""The PodGroup of scheduler-plugins' coscheduling: the label `scheduling.x-k8s.io/pod-group` names it."""

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.resources import Resource
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import Drawn, Refused, Served, job_key, reference, value

PODGROUPS = Resource("scheduling.x-k8s.io", "v1alpha1", "podgroups", "PodGroup")


class PodGroupSpec(Wire, kw_only=True, frozen=True):
    min_member: int | None = None


class PodGroup(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: PodGroupSpec = PodGroupSpec()


def draw(pod: Pod, groups: Served[PodGroup]) -> Drawn | None:
    name = value(pod.metadata, keys.COSCHEDULING_POD_GROUP)
    if not name or not groups.is_open:
        return None
    namespace = pod.metadata.namespace
    group = groups.get(f"{namespace}/{name}")
    if group is None:
        raise Refused(
            f"PodGroup {namespace}/{name} of {PODGROUPS.group} does not exist: create it, or take the label "
            f"{keys.COSCHEDULING_POD_GROUP} off the pod"
        )
    return Drawn(
        source=reference(PODGROUPS.api_version, PODGROUPS.kind, group.metadata),
        key=job_key(namespace, PODGROUPS.kind, PODGROUPS.group, name),
        root=Group(minimum=max(1, group.spec.min_member or 1)),
        metadata=(group.metadata,),
        created=group.metadata.creation_timestamp,
    )
