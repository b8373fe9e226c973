"""RayCluster, which RayJob and RayService make."""

from typing import Annotated

from msgspec import Meta

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping.drawn import Refused, value
from aliquot.scheduler.grouping.kinds import Asked, Share

Count = Annotated[int, Meta(ge=0)]

_GROUP = "ray.io/group"
_NODE_TYPE = "ray.io/node-type"
_HEAD_GROUP = "headgroup"
"""KubeRay's own name of it, which no group of workers may have."""


class WorkerGroup(Wire, kw_only=True, frozen=True):
    group_name: str
    replicas: Count | None = None
    min_replicas: Count | None = None
    max_replicas: Count | None = None
    num_of_hosts: Count | None = None
    suspend: bool | None = None


class RayClusterSpec(Wire, kw_only=True, frozen=True):
    enable_in_tree_autoscaling: bool | None = None
    worker_group_specs: tuple[WorkerGroup, ...] | None = None


class RayCluster(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: RayClusterSpec = RayClusterSpec()


def ray_cluster(cluster: RayCluster, pod: Pod, asked: Asked) -> Share | None:
    """The head, and of each group of workers its least replicas."""
    if asked.minimum is not None:
        raise Refused(f"{asked.said_by} is not for a RayCluster: give minReplicas to its groups of workers")
    autoscaled = bool(cluster.spec.enable_in_tree_autoscaling)
    minima = {_HEAD_GROUP: 1} | {
        group.group_name: _least_pods(group, autoscaled=autoscaled)
        for group in cluster.spec.worker_group_specs or ()
    }
    leaf = _HEAD_GROUP if value(pod.metadata, _NODE_TYPE) == "head" else value(pod.metadata, _GROUP)
    if leaf not in minima:
        # Of a group that was taken out, or the job that cleans up: it stands for itself.
        return None
    groups = tuple(Group(name=name, minimum=minimum) for name, minimum in minima.items())
    return Share(Group(minimum=len(groups), groups=groups), leaf=leaf)


def _least_pods(group: WorkerGroup, *, autoscaled: bool) -> int:
    least, most = group.min_replicas or 0, group.max_replicas
    if most is not None and least > most:
        raise Refused(
            f"minReplicas of the group of workers {group.group_name!r} is {least}, above its maxReplicas {most}"
        )
    if group.suspend:
        return 0
    # Ray's autoscaler moves `replicas` as it likes: they are no minimum then.
    replicas = least if autoscaled else least or group.replicas or 0
    return replicas * (1 if group.num_of_hosts is None else group.num_of_hosts)
