"""LeaderWorkerSet: each replica is a leader and its workers, and a job of its own."""

from typing import Annotated

from msgspec import Meta

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping.drawn import Refused, number, value
from aliquot.scheduler.grouping.kinds import Asked, Share

_REPLICA = "leaderworkerset.sigs.k8s.io/group-index"
_WORKER_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
_SIZE = "leaderworkerset.sigs.k8s.io/size"
_LEADER_FIRST = "LeaderReady"


class LeaderWorkerTemplate(Wire, kw_only=True, frozen=True):
    size: Annotated[int, Meta(ge=1)] | None = None


class LeaderWorkerSetSpec(Wire, kw_only=True, frozen=True):
    leader_worker_template: LeaderWorkerTemplate = LeaderWorkerTemplate()
    startup_policy: str = ""


class LeaderWorkerSet(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: LeaderWorkerSetSpec = LeaderWorkerSetSpec()


def leader_worker_set(workers: LeaderWorkerSet, pod: Pod, asked: Asked) -> Share | None:
    """The whole replica. Where workers are made when their leader is ready, the leader first, and the whole replica as soon
    as there is a worker."""
    if asked.minimum is not None:
        raise Refused(f"{asked.said_by} is not for a LeaderWorkerSet: its size says how many are needed")
    replica, index = value(pod.metadata, _REPLICA), value(pod.metadata, _WORKER_INDEX)
    if not replica:
        return None
    # During an update replicas are of two sizes, and each pod knows its own.
    told = value(pod.metadata, _SIZE)
    size = number(told, _SIZE) if told else workers.spec.leader_worker_template.size or 1
    is_leader = index in ("", "0")
    groups = (Group(name="leader"), Group(name="workers", minimum=size - 1))[: min(size, 2)]
    alone = is_leader and workers.spec.startup_policy == _LEADER_FIRST
    return Share(
        Group(minimum=1 if alone else len(groups), groups=groups),
        leaf="leader" if is_leader else "workers",
        name=replica,
    )
