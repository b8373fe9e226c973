"""YuniKorn's task groups: listed in an annotation of the pod, or of a pod that owns it (a Spark driver)."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import (
    OTHERS,
    Drawn,
    Refused,
    first,
    job_key,
    reference,
    said,
    value,
    with_others,
)


class TaskGroup(Struct, rename="camel"):
    name: str
    min_member: int


def draw(pod: Pod, above: Sequence[ObjectMeta]) -> Drawn | None:
    """`above`: of those who own it."""
    application = first(said((pod.metadata,)), keys.YUNIKORN_APPLICATIONS)[1]
    listed = said((pod.metadata, *above)).get(keys.YUNIKORN_TASK_GROUPS) if application else ""
    if not listed:
        return None
    try:
        groups = msgspec.json.decode(listed, type=list[TaskGroup])
    except msgspec.DecodeError as error:
        raise Refused(f"annotation {keys.YUNIKORN_TASK_GROUPS} cannot be read: {error}") from None
    minima = {group.name: group.min_member for group in groups}
    if len(minima) < len(groups) or any(minimum < 0 for minimum in minima.values()) or OTHERS in minima:
        raise Refused(
            f"annotation {keys.YUNIKORN_TASK_GROUPS}: give each task group a name of its own and a minMember of 0 or more"
        )
    named = value(pod.metadata, keys.YUNIKORN_TASK_GROUP)
    if named and named not in minima:
        raise Refused(
            f"annotation {keys.YUNIKORN_TASK_GROUP} is {named!r}: {keys.YUNIKORN_TASK_GROUPS} has {', '.join(minima)}"
        )
    return Drawn(
        source=reference("v1", "Pod", pod.metadata),
        key=job_key(pod.metadata.namespace, "Application", "yunikorn.apache.org", application),
        root=with_others(minima),
        leaf=named or OTHERS,
        created=pod.metadata.creation_timestamp,
    )
