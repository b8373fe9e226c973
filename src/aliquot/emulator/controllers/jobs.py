"""Jobs: the shell around `job_plan`."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator import selectors
from aliquot.emulator.controllers import indexes, job_plan, ownership, pods
from aliquot.emulator.controllers.batches import slow_start
from aliquot.emulator.controllers.expectations import Expectations
from aliquot.emulator.controllers.job_plan import TRACKING, Plan
from aliquot.emulator.controllers.ownership import ORPHAN_INDEX, OWNER_INDEX
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import Job
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import JOBS, PODS, key

_OURS = "kubernetes.io/job-controller"


class Jobs:
    """`pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        jobs: Cache[Job],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._jobs = jobs
        self._pods = pod_cache
        self._expected = Expectations(pod_cache.get)
        self._sizes: dict[str, int] = {}
        self.controller = Controller("jobs", self.reconcile, rng=rng, workers=4)
        pod_cache.subscribe(self._expected.observe)
        pod_cache.subscribe(self._pod_changed)
        self.controller.watch(jobs)

    async def run(self) -> None:
        await self.controller.run()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            owner = ownership.controller_of(pod)
            if owner is not None and owner.kind == JOBS.kind:
                self._gather(f"{pod.metadata.namespace}/{owner.name}")
        if new is not None and ownership.newly_orphaned(old, new):
            self._orphan(new)

    def _gather(self, name: str) -> None:
        self.controller.enqueue_after(name, pods.gather_s(self._sizes.get(name, 0)))

    def _orphan(self, pod: Pod) -> None:
        for candidate in self._jobs.values():
            if candidate.metadata.namespace == pod.metadata.namespace and selectors.from_object(
                candidate.spec.selector
            ).matches(pod.metadata.labels):
                self.controller.enqueue(key(candidate))

    async def reconcile(self, name: str) -> float | None:
        try:
            return await self._reconcile(name)
        except errors.NotFound:
            # Something went away meanwhile. The caches will show it, and that is another call.
            return None

    async def _reconcile(self, name: str) -> float | None:
        job = self._jobs.get(name)
        if job is None:
            self._expected.forget(name)
            self._sizes.pop(name, None)
            await self._let_orphans_go(name)
            return None
        if job.metadata.deletion_timestamp is not None or job_plan.is_finished(job):
            await self._unpin(self._pods.indexed(OWNER_INDEX, job.metadata.uid))
            return None
        if job.spec.managed_by not in ("", _OURS):
            return None
        self._warn_of_what_is_ignored(job)
        held = await self._claim(job)
        self._sizes[name] = len(held)
        wanted = job_plan.plan(job, held, self._clock.now())
        await self._write_status(job, wanted)
        await self._unpin(wanted.unpin)
        unseen_s = self._expected.pending_s(name)
        if unseen_s:
            return min(unseen_s, wanted.again_s or unseen_s)
        await self._act(name, job, wanted)
        return wanted.again_s

    async def _claim(self, job: Job) -> list[Pod]:
        namespace = job.metadata.namespace
        candidates = [
            *self._pods.indexed(OWNER_INDEX, job.metadata.uid),
            *self._pods.indexed(ORPHAN_INDEX, namespace),
        ]
        claim = ownership.claim(job, selectors.from_object(job.spec.selector), candidates)
        held = list(claim.held)
        owner = ownership.reference(JOBS, job)
        for pod in claim.adopt:
            patch = ownership.adoption_patch(pod, owner)
            patch["metadata"]["finalizers"] = [*(pod.metadata.finalizers or ()), TRACKING]
            held.append(await self._client.patch(PODS, pod.metadata.name, patch, namespace, into=Pod))
        for pod in claim.release:
            patch = ownership.release_patch(pod, job.metadata.uid)
            patch["metadata"]["finalizers"] = _others(pod)
            await self._client.patch(PODS, pod.metadata.name, patch, namespace)
        return held

    async def _write_status(self, job: Job, wanted: Plan) -> None:
        """Conditional: counters are worked out from the status that was read."""
        if not status_differs(wanted.status, job.status):
            return
        patch = {
            "metadata": {"resourceVersion": job.metadata.resource_version},
            "status": wanted.status,
        }
        await self._client.patch(JOBS, job.metadata.name, patch, job.metadata.namespace, subresource="status")
        for notice in wanted.notices:
            severity = Severity.WARNING if notice.warning else Severity.NORMAL
            self._recorder.event(JOBS, job, severity, notice.reason, notice.message)

    async def _unpin(self, found: Sequence[Pod]) -> None:
        for pod in found:
            if not job_plan.is_pinned(pod):
                continue
            metadata = {"finalizers": _others(pod), "resourceVersion": pod.metadata.resource_version}
            try:
                await self._client.patch(
                    PODS, pod.metadata.name, {"metadata": metadata}, pod.metadata.namespace
                )
            except errors.NotFound:
                continue

    async def _let_orphans_go(self, name: str) -> None:
        """Pods whose Job is gone wait for nobody to count them."""
        namespace, _, job_name = name.partition("/")
        pinned = [pod for pod in self._pods.indexed(pods.JOB_INDEX, name) if job_plan.is_pinned(pod)]
        if not pinned:
            return
        try:
            await self._client.get(JOBS, job_name, namespace)
        except errors.NotFound:
            await self._unpin(pinned)

    async def _act(self, name: str, job: Job, wanted: Plan) -> None:
        namespace = job.metadata.namespace

        async def create(index: int | None) -> None:
            made = await self._client.create(PODS, pod_of(job, index), namespace, into=Pod)
            self._expected.created(name, made)
            self._tell(job, Severity.NORMAL, "SuccessfulCreate", f"Created pod: {made.metadata.name}")

        async def delete(pod: Pod) -> None:
            try:
                await self._client.delete(PODS, pod.metadata.name, namespace, uid=pod.metadata.uid)
            except errors.NotFound:
                return
            self._expected.deleted(name, pod)
            self._tell(job, Severity.NORMAL, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")

        failure = await slow_start(wanted.delete, delete)
        if failure is None:
            failure = await slow_start(wanted.create, create)
            if failure is not None:
                self._tell(job, Severity.WARNING, "FailedCreate", f"Error creating: {failure.message}")
        if failure is not None:
            raise failure

    def _warn_of_what_is_ignored(self, job: Job) -> None:
        for name, value in (
            ("podFailurePolicy", job.spec.pod_failure_policy),
            ("successPolicy", job.spec.success_policy),
            ("backoffLimitPerIndex", job.spec.backoff_limit_per_index),
        ):
            if value is not None:
                message = f"spec.{name} is not acted upon by this cluster"
                self._tell(job, Severity.WARNING, "NotSupported", message)

    def _tell(self, job: Job, severity: Severity, reason: str, message: str) -> None:
        self._recorder.event(JOBS, job, severity, reason, message)


def pod_of(job: Job, index: int | None) -> dict[str, Any]:
    """A pod to create for a Job, pinned until it is counted."""
    base = job.metadata.name if index is None else f"{job.metadata.name}-{index}"
    owner = ownership.reference(JOBS, job)
    body = pods.from_template(job.spec.template, f"{base}-", job.metadata.namespace, owner)
    metadata = body["metadata"]
    metadata["finalizers"] = [*metadata.get("finalizers", ()), TRACKING]
    if index is None:
        return body
    for part in ("labels", "annotations"):
        metadata[part] = {**metadata.get(part, {}), indexes.LABEL: str(index)}
    spec = body["spec"]
    spec["hostname"] = spec.get("hostname") or base
    for part in ("containers", "initContainers"):
        if spec.get(part):
            spec[part] = [_with_index(container) for container in spec[part]]
    return body


def _with_index(container: Mapping[str, Any]) -> dict[str, Any]:
    field_path = f"metadata.labels['{indexes.LABEL}']"
    variable = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field_path}},
    }
    known = container.get("env") or []
    if any(found.get("name") == variable["name"] for found in known):
        return dict(container)
    return {**container, "env": [*known, variable]}


def _others(pod: Pod) -> list[str] | None:
    return [name for name in pod.metadata.finalizers or () if name != TRACKING] or None
