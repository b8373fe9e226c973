"""batch/v1 Job, and JobSet, which is several of them."""

from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping.drawn import Refused, value
from aliquot.scheduler.grouping.kinds import Asked, Share

Count = Annotated[int, Meta(ge=0)]

_REPLICATED_JOB = "jobset.sigs.k8s.io/replicatedjob-name"
_JOB_INDEX = "jobset.sigs.k8s.io/job-index"
_IN_ORDER = "InOrder"


_DISRUPTED = "DisruptionTarget"


class OnPodCondition(Wire, kw_only=True, frozen=True):
    type: str
    status: str = "True"


class PodFailureRule(Wire, kw_only=True, frozen=True):
    action: str
    on_pod_conditions: tuple[OnPodCondition, ...] | None = None

    @property
    def is_about_evictions(self) -> bool:
        return any(one.type == _DISRUPTED and one.status == "True" for one in self.on_pod_conditions or ())


class PodFailurePolicy(Wire, kw_only=True, frozen=True):
    rules: tuple[PodFailureRule, ...] = ()


class JobSpec(Wire, kw_only=True, frozen=True):
    parallelism: Count | None = None
    completions: Count | None = None
    active_deadline_seconds: Count | None = None
    pod_failure_policy: PodFailurePolicy | None = None

    @property
    def ignores_evictions(self) -> bool:
        """A pod that is evicted does not count as failed. The first rule that fits decides; one about exit codes is taken to fit."""
        rules = self.pod_failure_policy.rules if self.pod_failure_policy is not None else ()
        fits = next(
            (rule for rule in rules if rule.is_about_evictions or rule.on_pod_conditions is None), None
        )
        return fits is not None and fits.is_about_evictions and fits.action == "Ignore"

    @property
    def pods(self) -> int:
        """How many it has at a time."""
        parallelism = 1 if self.parallelism is None else self.parallelism
        return parallelism if self.completions is None else min(parallelism, self.completions)


class JobStatus(Wire, kw_only=True, frozen=True):
    succeeded: int | None = None


class Job(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


def job(job: Job, pod: Pod, asked: Asked) -> Share:
    """Its pods need not run at the same time, unless somebody says so."""
    spec = job.spec
    minimum = asked.minimum or 1
    if minimum > spec.pods:
        _above(asked, spec.pods)
    if spec.completions is not None:
        # Toward the end there are fewer pods, and no more will come.
        minimum = min(minimum, max(1, spec.completions - (job.status.succeeded or 0)))
    deadline_s = spec.active_deadline_seconds
    return Share(
        Group(minimum=minimum),
        max_runtime_s=None if deadline_s is None else float(deadline_s),
        by_status=asked.minimum is not None,
    )


class JobTemplate(Wire, kw_only=True, frozen=True):
    spec: JobSpec = JobSpec()


class DependsOn(Wire, kw_only=True, frozen=True):
    name: str = ""


class ReplicatedJob(Wire, kw_only=True, frozen=True):
    name: str
    replicas: Count | None = None
    template: JobTemplate = JobTemplate()
    depends_on: tuple[DependsOn, ...] | None = None

    @property
    def count(self) -> int:
        return 1 if self.replicas is None else self.replicas


class StartupPolicy(Wire, kw_only=True, frozen=True):
    startup_policy_order: str = ""


class JobSetSpec(Wire, kw_only=True, frozen=True):
    replicated_jobs: tuple[ReplicatedJob, ...] | None = None
    startup_policy: StartupPolicy | None = None


class JobSet(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: JobSetSpec = JobSetSpec()


def job_set(jobs: JobSet, pod: Pod, asked: Asked) -> Share | None:
    """All of its replicated jobs, each with all of its jobs, each with all of its pods, or as many as asked for.

    Those that wait for others come later: where they start in order, the first is the minimum.
    """
    replicated, index = value(pod.metadata, _REPLICATED_JOB), value(pod.metadata, _JOB_INDEX)
    count = next((one.count for one in jobs.spec.replicated_jobs or () if one.name == replicated), 0)
    if not index.isdecimal() or int(index) >= count:
        # Of one that was scaled down or taken out: it is about to go.
        return None
    return Share(_root(jobs.spec, asked), leaf=_leaf(replicated, index))


@lru_cache(maxsize=256)
def _root(spec: JobSetSpec, asked: Asked) -> Group:
    """It may have thousands of leaves, and each of its pods asks for it."""
    replicated = [one for one in spec.replicated_jobs or () if one.count]
    in_order = spec.startup_policy is not None and spec.startup_policy.startup_policy_order == _IN_ORDER
    at_once = 1 if in_order else sum(1 for one in replicated if not one.depends_on)
    groups = tuple(
        Group(name=one.name, minimum=one.count, groups=tuple(_jobs_of(one, asked))) for one in replicated
    )
    return Group(minimum=max(1, at_once), groups=groups)


def _jobs_of(replicated: ReplicatedJob, asked: Asked) -> list[Group]:
    pods = replicated.template.spec.pods
    minimum = pods if asked.minimum is None else asked.minimum
    if minimum > pods:
        _above(asked, pods)
    return [
        Group(name=_leaf(replicated.name, str(index)), minimum=minimum) for index in range(replicated.count)
    ]


def _leaf(replicated: str, index: str) -> str:
    # With a sign that no name has: `a-1` may be another replicated job.
    return f"{replicated}/{index}"


def _above(asked: Asked, pods: int) -> None:
    raise Refused(f"{asked.said_by} is {asked.minimum}, above the {pods} pods of a Job: lower it")
