"""Kinds that make pods, and how all pods of one can be taken away and brought back without losing the job: the facts.

From the API types of each project. A kind that only starts others (a CronJob, a Workflow) is passed over: to suspend it ends nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from aliquot.kube.resources import (
    DEPLOYMENTS,
    JOBS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
    Resource,
)

_KUBEFLOW = "kubeflow.org"
_RAY = "ray.io"


class Way(StrEnum):
    FIELD = "field"
    """A field of it that is true while it is suspended."""
    KUEUE = "kueue"
    """`spec.active` of its Workload: what is set on the job itself, Kueue sets back."""
    SCALE = "scale"
    """To no replicas, and back. Whoever it serves has nobody meanwhile."""
    NONE = "none"


class JobKind(Struct, frozen=True, kw_only=True):
    resource: Resource
    way: Way
    path: tuple[str, ...] = ("spec", "suspend")
    """Of the field: of `suspend`, or of the number of replicas."""
    stands: bool = False
    """It does not end, and each of its pods is of use by itself, unless a group says that they belong together."""
    why: str = ""
    """Of one that has no way."""


_RUN_POLICY = ("spec", "runPolicy", "suspend")
_REPLICAS = ("spec", "replicas")
_VOLCANO = "Volcano suspends its Jobs by a command: vcctl job suspend"

_ALL = (
    JobKind(resource=JOBS, way=Way.FIELD),
    JobKind(resource=Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet"), way=Way.FIELD),
    JobKind(resource=Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob"), way=Way.FIELD),
    *(
        JobKind(resource=Resource(_KUBEFLOW, "v1", f"{kind.lower()}s", kind), way=Way.FIELD, path=_RUN_POLICY)
        for kind in ("PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob")
    ),
    JobKind(resource=Resource(_KUBEFLOW, "v2beta1", "mpijobs", "MPIJob"), way=Way.FIELD, path=_RUN_POLICY),
    JobKind(resource=Resource(_RAY, "v1", "rayjobs", "RayJob"), way=Way.FIELD),
    JobKind(resource=Resource(_RAY, "v1", "rayclusters", "RayCluster"), way=Way.FIELD),
    JobKind(
        resource=Resource(_RAY, "v1", "rayservices", "RayService"),
        way=Way.NONE,
        why="a RayService makes its cluster anew at once",
    ),
    JobKind(
        resource=Resource("workload.codeflare.dev", "v1beta2", "appwrappers", "AppWrapper"), way=Way.FIELD
    ),
    JobKind(
        resource=Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet"),
        way=Way.SCALE,
        path=_REPLICAS,
    ),
    JobKind(resource=Resource("batch.volcano.sh", "v1alpha1", "jobs", "Job"), way=Way.NONE, why=_VOLCANO),
    JobKind(
        resource=Resource("sparkoperator.k8s.io", "v1beta2", "sparkapplications", "SparkApplication"),
        way=Way.NONE,
        why="a SparkApplication that is stopped begins anew",
    ),
    *(
        JobKind(resource=one, way=Way.SCALE, path=_REPLICAS, stands=True)
        for one in (DEPLOYMENTS, STATEFULSETS, REPLICASETS, REPLICATIONCONTROLLERS)
    ),
)
JOB_KINDS: Mapping[tuple[str, str], JobKind] = {(one.resource.group, one.resource.kind): one for one in _ALL}
"""By group and kind."""

ON_EACH_NODE = frozenset({("apps", "DaemonSet"), ("", "Node")})
"""Owners of pods that belong to their node."""

WORKLOADS = Resource("kueue.x-k8s.io", "v1beta1", "workloads", "Workload")
ACTIVE = ("spec", "active")


def way_of(kind: JobKind, spec: Mapping[str, Any]) -> tuple[Way, str]:
    """Of one object, with the reason where it has none."""
    if kind.resource.kind == "RayJob" and not spec.get("shutdownAfterJobFinishes"):
        return Way.NONE, "a RayJob without shutdownAfterJobFinishes may not be suspended"
    if kind.resource.kind in ("RayJob", "RayCluster") and spec.get("clusterSelector"):
        return Way.NONE, "it runs on somebody else's RayCluster"
    return kind.way, kind.why
