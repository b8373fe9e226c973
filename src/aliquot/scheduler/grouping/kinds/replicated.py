"""Deployment, ReplicaSet, StatefulSet and their like: each pod serves by itself, unless a minimum is asked for."""

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping.drawn import Refused
from aliquot.scheduler.grouping.kinds import Asked, Share


class ReplicatedSpec(Wire, kw_only=True, frozen=True):
    replicas: int | None = None


class Replicated(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: ReplicatedSpec = ReplicatedSpec()


def replicated(workload: Replicated, pod: Pod, asked: Asked) -> Share | None:
    if asked.minimum is None:
        return None
    replicas = 1 if workload.spec.replicas is None else workload.spec.replicas
    if asked.minimum > replicas:
        raise Refused(f"{asked.said_by} is {asked.minimum}, above its {replicas} replicas: lower it")
    return Share(Group(minimum=asked.minimum))


class OnEachNode(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta


def on_each_node(workload: OnEachNode, pod: Pod, asked: Asked) -> None:
    """A DaemonSet's pods each have their own node."""
