"""The parts of workloads and other objects that controllers read. Partial: never PUT what was decoded."""

from typing import Any

from msgspec import field

from aliquot.kube.api.meta import ObjectMeta, Wire


class WorkloadCondition(Wire, kw_only=True, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_update_time: str | None = None
    last_probe_time: str | None = None
    last_transition_time: str | None = None


class ReplicaSetSpec(Wire, kw_only=True, frozen=True):
    replicas: int = 1
    min_ready_seconds: int = 0
    selector: dict[str, Any] | None = None
    template: dict[str, Any] = {}


class ReplicaSetStatus(Wire, kw_only=True, frozen=True):
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[WorkloadCondition, ...] | None = None


class ReplicaSet(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ReplicationControllerSpec(Wire, kw_only=True, frozen=True):
    """As of a ReplicaSet, but that its selector is a plain map of labels."""

    replicas: int = 1
    min_ready_seconds: int = 0
    match_labels: dict[str, str] | None = field(name="selector", default=None)
    template: dict[str, Any] = {}

    @property
    def selector(self) -> dict[str, Any] | None:
        return {"matchLabels": self.match_labels} if self.match_labels else None


class ReplicationController(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdate(Wire, kw_only=True, frozen=True):
    """A number of pods, or a percentage of the replicas as text."""

    max_surge: int | str | None = None
    max_unavailable: int | str | None = None


class UpdateStrategy(Wire, kw_only=True, frozen=True):
    """Of a Deployment or a DaemonSet."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Wire, kw_only=True, frozen=True):
    replicas: int = 1
    min_ready_seconds: int = 0
    selector: dict[str, Any] | None = None
    template: dict[str, Any] = {}
    strategy: UpdateStrategy = UpdateStrategy()
    revision_history_limit: int = 10
    progress_deadline_seconds: int | None = 600
    paused: bool = False


class DeploymentStatus(Wire, kw_only=True, frozen=True):
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int = 0
    observed_generation: int = 0
    collision_count: int = 0
    conditions: tuple[WorkloadCondition, ...] | None = None


class Deployment(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class JobSpec(Wire, kw_only=True, frozen=True):
    parallelism: int = 1
    completions: int | None = None
    backoff_limit: int = 6
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    completion_mode: str = "NonIndexed"
    pod_replacement_policy: str = "TerminatingOrFailed"
    selector: dict[str, Any] | None = None
    template: dict[str, Any] = {}
    managed_by: str = ""
    pod_failure_policy: dict[str, Any] | None = None
    success_policy: dict[str, Any] | None = None
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None


class UncountedPods(Wire, kw_only=True, frozen=True):
    """Uids of finished pods that are still held by their tracking finalizer."""

    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class JobStatus(Wire, kw_only=True, frozen=True):
    active: int = 0
    ready: int | None = None
    terminating: int | None = None
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    failed_indexes: str | None = None
    start_time: str | None = None
    completion_time: str | None = None
    uncounted_terminated_pods: UncountedPods | None = None
    conditions: tuple[WorkloadCondition, ...] | None = None


class Job(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class NamespaceSpec(Wire, kw_only=True, frozen=True):
    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Wire, kw_only=True, frozen=True):
    phase: str = ""
    conditions: tuple[WorkloadCondition, ...] | None = None


class Namespace(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class MetadataOnly(Wire, kw_only=True, frozen=True):
    """Any object, as far as owners and deletion are concerned."""

    metadata: ObjectMeta


class ControllerRevision(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    revision: int = 0
    data: dict[str, Any] | None = None


class StatefulSetRollingUpdate(Wire, kw_only=True, frozen=True):
    """Pods below the ordinal `partition` stay as they are."""

    partition: int = 0
    max_unavailable: int | str | None = None


class StatefulSetStrategy(Wire, kw_only=True, frozen=True):
    type: str = "RollingUpdate"
    rolling_update: StatefulSetRollingUpdate | None = None


class Ordinals(Wire, kw_only=True, frozen=True):
    start: int = 0


class ClaimRetention(Wire, kw_only=True, frozen=True):
    when_deleted: str = "Retain"
    when_scaled: str = "Retain"


class StatefulSetSpec(Wire, kw_only=True, frozen=True):
    replicas: int = 1
    min_ready_seconds: int = 0
    selector: dict[str, Any] | None = None
    template: dict[str, Any] = {}
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: StatefulSetStrategy = StatefulSetStrategy()
    revision_history_limit: int = 10
    volume_claim_templates: tuple[dict[str, Any], ...] | None = None
    persistent_volume_claim_retention_policy: ClaimRetention = ClaimRetention()
    ordinals: Ordinals = Ordinals()


class StatefulSetStatus(Wire, kw_only=True, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int = 0
    observed_generation: int = 0


class StatefulSet(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class DaemonSetSpec(Wire, kw_only=True, frozen=True):
    min_ready_seconds: int = 0
    selector: dict[str, Any] | None = None
    template: dict[str, Any] = {}
    update_strategy: UpdateStrategy = UpdateStrategy()
    revision_history_limit: int = 10


class DaemonSetStatus(Wire, kw_only=True, frozen=True):
    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    observed_generation: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    collision_count: int = 0


class DaemonSet(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class ActiveJob(Wire, kw_only=True, frozen=True):
    """A reference to a Job that runs."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class CronJobSpec(Wire, kw_only=True, frozen=True):
    schedule: str = ""
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = False
    job_template: dict[str, Any] = {}
    successful_jobs_history_limit: int | None = 3
    failed_jobs_history_limit: int | None = 1


class CronJobStatus(Wire, kw_only=True, frozen=True):
    active: tuple[ActiveJob, ...] | None = None
    last_schedule_time: str | None = None
    last_successful_time: str | None = None


class CronJob(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


class DisruptionBudgetSpec(Wire, kw_only=True, frozen=True):
    """One of the two: a number of pods, or a percentage as text."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: dict[str, Any] | None = None


class BudgetCondition(Wire, kw_only=True, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str | None = None


class DisruptionBudgetStatus(Wire, kw_only=True, frozen=True):
    current_healthy: int = 0
    desired_healthy: int = 0
    disruptions_allowed: int = 0
    expected_pods: int = 0
    observed_generation: int = 0
    disrupted_pods: dict[str, str] | None = None
    """By the name of the pod: when its eviction was allowed."""
    conditions: tuple[BudgetCondition, ...] | None = None


class DisruptionBudget(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: DisruptionBudgetSpec = DisruptionBudgetSpec()
    status: DisruptionBudgetStatus = DisruptionBudgetStatus()


class ResourceQuotaSpec(Wire, kw_only=True, frozen=True):
    hard: dict[str, str] | None = None
    scopes: tuple[str, ...] | None = None
    scope_selector: dict[str, Any] | None = None


class ResourceQuotaStatus(Wire, kw_only=True, frozen=True):
    hard: dict[str, str] | None = None
    used: dict[str, str] | None = None


class ResourceQuota(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class ScaleSpec(Wire, kw_only=True, frozen=True):
    replicas: int = 0


class ScaleStatus(Wire, kw_only=True, frozen=True):
    replicas: int = 0


class Scale(Wire, kw_only=True, frozen=True):
    """autoscaling/v1, as the scale subresource answers it."""

    metadata: ObjectMeta
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()


class ScaleTarget(Wire, kw_only=True, frozen=True):
    kind: str = ""
    name: str = ""
    api_version: str = ""


class AutoscalerSpec(Wire, kw_only=True, frozen=True):
    scale_target_ref: ScaleTarget = ScaleTarget()
    min_replicas: int = 1
    max_replicas: int = 0
    metrics: tuple[dict[str, Any], ...] | None = None


class AutoscalerStatus(Wire, kw_only=True, frozen=True):
    current_replicas: int = 0
    desired_replicas: int = 0
    last_scale_time: str | None = None
    conditions: tuple[WorkloadCondition, ...] | None = None


class HorizontalPodAutoscaler(Wire, kw_only=True, frozen=True):
    """autoscaling/v2."""

    metadata: ObjectMeta
    spec: AutoscalerSpec = AutoscalerSpec()
    status: AutoscalerStatus = AutoscalerStatus()


class ApiServiceStatus(Wire, kw_only=True, frozen=True):
    conditions: tuple[WorkloadCondition, ...] | None = None


class ApiService(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    status: ApiServiceStatus = ApiServiceStatus()
