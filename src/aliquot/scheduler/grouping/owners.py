"""Who owns a pod, from itself up, and the workload among them that says what belongs together.

That is the highest of a kind that is known here: what stands above it, a platform's own kinds, made it to be just that. Kinds that
only start others are passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, OwnerReference, Wire
from aliquot.kube.resources import Resource
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping import wishes
from aliquot.scheduler.grouping.drawn import Drawn, Refused, job_key, reference, said
from aliquot.scheduler.grouping.kinds import (
    Asked,
    Share,
    batch,
    kubeflow,
    leader_worker_set,
    ray,
    replicated,
)


class Reading(Enum):
    FOLLOWED = "followed"
    """It changes while its pods wait."""
    ONCE = "once"
    """For its labels, annotations and owner."""
    NEVER = "never"
    """There is nothing to be learned from it."""


class Passed(Wire, kw_only=True, frozen=True):
    """A workload of which nothing is read but what every object has."""

    metadata: ObjectMeta


Grouper = Callable[[Any, Pod, Asked], Share | None]


@dataclass(frozen=True, slots=True)
class OwnerKind:
    group: str
    kind: str
    plural: str
    into: type[Any] = Passed
    grouper: Grouper | None = None
    """None: it is passed over."""
    reading: Reading = Reading.FOLLOWED
    mostly_alone: bool = False
    """Nearly always its pods are jobs of their own: so they are taken where it cannot be read."""

    def resource(self, version: str) -> Resource:
        return Resource(self.group, version, self.plural, self.kind)


def _kinds() -> Mapping[tuple[str, str], OwnerKind]:
    kinds = [
        OwnerKind("batch", "Job", "jobs", batch.Job, batch.job, mostly_alone=True),
        OwnerKind("jobset.x-k8s.io", "JobSet", "jobsets", batch.JobSet, batch.job_set),
        OwnerKind("ray.io", "RayCluster", "rayclusters", ray.RayCluster, ray.ray_cluster),
        OwnerKind(
            "leaderworkerset.x-k8s.io",
            "LeaderWorkerSet",
            "leaderworkersets",
            leader_worker_set.LeaderWorkerSet,
            leader_worker_set.leader_worker_set,
        ),
    ]
    kinds += [
        OwnerKind(
            group,
            kind,
            f"{kind.lower()}s",
            replicated.OnEachNode,
            replicated.on_each_node,
            reading,
            mostly_alone=True,
        )
        for group, kind, reading in (("apps", "DaemonSet", Reading.ONCE), ("", "Node", Reading.NEVER))
    ]
    kinds += [
        OwnerKind("kubeflow.org", kind, f"{kind.lower()}s", kubeflow.TrainingJob, kubeflow.training_job)
        for kind in ("PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob", "MPIJob")
    ]
    kinds += [
        OwnerKind(
            group, kind, f"{kind.lower()}s", replicated.Replicated, replicated.replicated, mostly_alone=True
        )
        for group, kind in (
            ("apps", "Deployment"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("", "ReplicationController"),
        )
    ]
    kinds += [
        OwnerKind(group, kind, f"{kind.lower()}s", reading=Reading.ONCE)
        for group, kind in (
            ("batch", "CronJob"),
            ("ray.io", "RayJob"),
            ("ray.io", "RayService"),
            ("trainer.kubeflow.org", "TrainJob"),
            ("kubeflow.org", "ScheduledWorkflow"),
            ("argoproj.io", "Workflow"),
            ("argoproj.io", "CronWorkflow"),
            ("tekton.dev", "TaskRun"),
            ("tekton.dev", "PipelineRun"),
            ("sparkoperator.k8s.io", "SparkApplication"),
            ("workload.codeflare.dev", "AppWrapper"),
        )
    ]
    # A leader of a LeaderWorkerSet, a Spark driver.
    kinds.append(OwnerKind("", "Pod", "pods"))
    return {(kind.group, kind.kind): kind for kind in kinds}


OWNER_KINDS = _kinds()


@dataclass(frozen=True, slots=True)
class Owner:
    group: str
    version: str
    kind: str
    metadata: ObjectMeta
    """Of one that was not read, what its owner reference says."""
    body: Any = None
    """As its kind's `into`; None where it was not read."""
    problem: str = ""
    """Why it could not be read."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def owner_reference(metadata: ObjectMeta) -> OwnerReference | None:
    """Of the one who controls it; of the first, where none says so."""
    references = metadata.owner_references or ()
    return next((one for one in references if one.controller), references[0] if references else None)


def by_owner(pod: Pod, owners: Sequence[Owner]) -> Drawn | None:
    """`owners`: from the pod's up. None: the pod is a job of its own. Raises Refused."""
    above = tuple(owner.metadata for owner in reversed(owners))
    asked = Asked(*wishes.minimum(said((*above, pod.metadata))))
    workload, kind = _workload(owners)
    if workload is None:
        if asked.minimum is not None and asked.minimum > 1:
            raise Refused(
                f"{asked.said_by} is {asked.minimum}, and nothing tells the others: name their PodGroup"
            )
        return None
    if kind is None:
        share: Share | None = Share(Group(minimum=asked.minimum or 1))
    elif workload.body is not None and kind.grouper is not None:
        share = kind.grouper(workload.body, pod, asked)
    elif kind.mostly_alone:
        share = None if asked.minimum is None else Share(Group(minimum=asked.minimum))
    else:
        raise Refused(f"how many pods its {workload.kind} needs is not known: {workload.problem}")
    if share is None:
        return None
    names = (workload.metadata.name, share.name) if share.name else (workload.metadata.name,)
    return Drawn(
        source=reference(workload.api_version, workload.kind, workload.metadata),
        key=job_key(pod.metadata.namespace, workload.kind, workload.group, *names),
        root=share.root,
        leaf=share.leaf,
        metadata=above,
        created=workload.metadata.creation_timestamp or pod.metadata.creation_timestamp,
        queue=share.queue,
        priority_class=share.priority_class,
        max_runtime_s=share.max_runtime_s,
        by_status=share.by_status,
    )


def _workload(owners: Sequence[Owner]) -> tuple[Owner | None, OwnerKind | None]:
    """With its kind; None for one that nobody knows here."""
    unknown: Owner | None = None
    for owner in reversed(owners):
        kind = OWNER_KINDS.get((owner.group, owner.kind))
        if kind is None:
            unknown = unknown or owner
        elif kind.grouper is not None:
            return owner, kind
    return unknown, None
