"""Group objects, labels and annotations by which pods say themselves where they belong. One module for each project.

A door is closed where the cluster does not serve the kind that it needs: what pods say there is then not looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aliquot.kube.api.core import Pod
from aliquot.kube.api.podgroup import PodGroup
from aliquot.scheduler.grouping.doors import coscheduling, kai, kueue, own, upstream, volcano
from aliquot.scheduler.grouping.drawn import Drawn, Served


@dataclass(frozen=True, slots=True)
class GroupObjects:
    pod_groups: Served[PodGroup]
    upstream_pod_groups: Served[upstream.PodGroup]
    composite_pod_groups: Served[upstream.PodGroup]
    coscheduling_pod_groups: Served[coscheduling.PodGroup]
    kai_pod_groups: Served[kai.PodGroup]
    volcano_pod_groups: Served[volcano.PodGroup]


_DOORS: tuple[Callable[[Pod, GroupObjects], Drawn | None], ...] = (
    lambda pod, objects: upstream.draw(pod, objects.upstream_pod_groups, objects.composite_pod_groups),
    lambda pod, objects: own.draw(pod, objects.pod_groups),
    lambda pod, objects: kai.draw(pod, objects.kai_pod_groups),
    lambda pod, objects: coscheduling.draw(pod, objects.coscheduling_pod_groups),
    lambda pod, objects: volcano.draw(pod, objects.volcano_pod_groups),
    lambda pod, objects: kueue.draw(pod),
)
"""In their order: the API of Kubernetes itself has the first word, then ours."""


def by_door(pod: Pod, objects: GroupObjects) -> Drawn | None:
    """Raises Refused."""
    for door in _DOORS:
        drawn = door(pod, objects)
        if drawn is not None:
            return drawn
    return None
