"""Kubeflow's training jobs v1 (PyTorchJob, TFJob, XGBoostJob, PaddleJob, JAXJob) and its MPIJob, v1 and v2beta1."""

from typing import Annotated

from msgspec import Meta

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.scheduler.grouping.drawn import Refused, first, of_roles, said
from aliquot.scheduler.grouping.kinds import Asked, Share

Count = Annotated[int, Meta(ge=0)]

_ROLES = ("training.kubeflow.org/replica-type", "training.kubeflow.org/job-role", "replica-type")
_WORKER = "worker"
_LAUNCHER = "launcher"
_LATER = "WaitForWorkersReady"


class ReplicaSpec(Wire, kw_only=True, frozen=True):
    replicas: Count | None = None


class SchedulingPolicy(Wire, kw_only=True, frozen=True):
    min_available: int | None = None
    queue: str | None = None
    priority_class: str | None = None


class RunPolicy(Wire, kw_only=True, frozen=True):
    scheduling_policy: SchedulingPolicy | None = None
    active_deadline_seconds: Count | None = None


class ElasticPolicy(Wire, kw_only=True, frozen=True):
    min_replicas: int | None = None


Roles = dict[str, ReplicaSpec]


class TrainingJobSpec(Wire, kw_only=True, frozen=True):
    """Each kind has one of the maps of roles."""

    run_policy: RunPolicy | None = None
    elastic_policy: ElasticPolicy | None = None
    launcher_creation_policy: str = ""
    pytorch_replica_specs: Roles | None = None
    tf_replica_specs: Roles | None = None
    xgb_replica_specs: Roles | None = None
    paddle_replica_specs: Roles | None = None
    jax_replica_specs: Roles | None = None
    mpi_replica_specs: Roles | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Replicas by role, in small letters as pods have it."""
        roles = (
            self.pytorch_replica_specs
            or self.tf_replica_specs
            or self.xgb_replica_specs
            or self.paddle_replica_specs
            or self.jax_replica_specs
            or self.mpi_replica_specs
            or {}
        )
        return {
            name.lower(): 1 if role.replicas is None else role.replicas
            for name, role in sorted(roles.items())
        }


class ReplicaStatus(Wire, kw_only=True, frozen=True):
    active: int | None = None


class TrainingJobStatus(Wire, kw_only=True, frozen=True):
    replica_statuses: dict[str, ReplicaStatus] | None = None


class TrainingJob(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: TrainingJobSpec = TrainingJobSpec()
    status: TrainingJobStatus = TrainingJobStatus()


def training_job(job: TrainingJob, pod: Pod, asked: Asked) -> Share:
    """All replicas of all roles, or as many as it says: `elasticPolicy.minReplicas`, then what is asked for, then
    `schedulingPolicy.minAvailable`."""
    sizes = job.spec.sizes
    wanted, elastic = _minimum(job.spec, asked), _WORKER
    if wanted.minimum is not None and wanted.minimum < 1:
        raise Refused(f"{wanted.said_by} is {wanted.minimum}: give at least 1")
    if wanted.minimum is None and _launcher_comes_later(job):
        wanted, elastic = Asked(sum(sizes.values()) - sizes[_LAUNCHER], _LATER), _LAUNCHER
    root = of_roles(sizes, wanted.minimum, wanted.said_by, elastic)
    policy = _policy(job.spec)
    deadline_s = job.spec.run_policy.active_deadline_seconds if job.spec.run_policy is not None else None
    return Share(
        root,
        leaf=_role(pod, sizes) if root.groups else "",
        queue=policy.queue or "",
        priority_class=policy.priority_class or "",
        max_runtime_s=None if deadline_s is None else float(deadline_s),
        by_status=job.spec.launcher_creation_policy == _LATER,
    )


def _minimum(spec: TrainingJobSpec, asked: Asked) -> Asked:
    elastic = spec.elastic_policy
    if elastic is not None and elastic.min_replicas is not None:
        return Asked(elastic.min_replicas, "elasticPolicy.minReplicas")
    if asked.minimum is not None:
        return asked
    available = _policy(spec).min_available
    return Asked() if available is None else Asked(available, "runPolicy.schedulingPolicy.minAvailable")


def _policy(spec: TrainingJobSpec) -> SchedulingPolicy:
    policy = spec.run_policy.scheduling_policy if spec.run_policy is not None else None
    return policy if policy is not None else SchedulingPolicy()


def _launcher_comes_later(job: TrainingJob) -> bool:
    """Its pod is made when all workers are ready; from when it runs, it is needed like them."""
    statuses = job.status.replica_statuses or {}
    running = any(name.lower() == _LAUNCHER and status.active for name, status in statuses.items())
    return job.spec.launcher_creation_policy == _LATER and _LAUNCHER in job.spec.sizes and not running


def _role(pod: Pod, sizes: dict[str, int]) -> str:
    key, role = first(said((pod.metadata,)), _ROLES)
    if role.lower() in sizes:
        return role.lower()
    if not role:
        raise Refused(f"its role is not known: it has no label {_ROLES[0]}")
    raise Refused(f"its role ({key} is {role!r}) is none of its workload's: {', '.join(sizes)}")
