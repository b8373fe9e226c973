"""Kueue's groups of plain pods: a label names the group, an annotation says how many pods it has. There is no object."""

from aliquot.kube.api.core import Pod
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import Drawn, Refused, job_key, number, reference, value


def draw(pod: Pod) -> Drawn | None:
    name = value(pod.metadata, keys.KUEUE_POD_GROUP)
    if not name:
        return None
    total = value(pod.metadata, keys.KUEUE_TOTAL)
    if not total:
        raise Refused(f"its group {name!r} has no size: give the annotation {keys.KUEUE_TOTAL}")
    return Drawn(
        source=reference("v1", "Pod", pod.metadata),
        key=job_key(pod.metadata.namespace, "PodGroup", "kueue.x-k8s.io", name),
        root=Group(minimum=number(total, keys.KUEUE_TOTAL)),
        created=pod.metadata.creation_timestamp,
    )
