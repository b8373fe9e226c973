"""Jobs: the shell around `job_plan`."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.controllers import indexes, job_plan, ownership, pods
from aliquot.emulator.controllers.job_plan import TRACKING, Birth, Plan
from aliquot.emulator.controllers.owned_pods import OwnedPods, without
from aliquot.emulator.controllers.ownership import OWNER_INDEX
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import Job
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.resources import JOBS, PODS

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
        self._pods = pod_cache
        self._owned = OwnedPods(
            client,
            rng,
            recorder,
            JOBS,
            jobs,
            pod_cache,
            self._reconcile,
            gone=self._let_orphans_go,
            finalizer=TRACKING,
        )

    async def run(self) -> None:
        await self._owned.run()

    async def _reconcile(self, job: Job) -> float | None:
        if job.metadata.deletion_timestamp is not None or job_plan.is_finished(job):
            await self._unpin(self._pods.indexed(OWNER_INDEX, job.metadata.uid))
            return None
        if job.spec.managed_by not in ("", _OURS):
            return None
        held = await self._owned.claim(job)
        wanted = job_plan.plan(job, held, self._clock.now())
        await self._write_status(job, wanted)
        await self._unpin(wanted.unpin)
        unseen_s = self._owned.pending_s(job)
        if unseen_s:
            return min(unseen_s, wanted.again_s or unseen_s)
        failure = await self._owned.delete(job, wanted.delete)
        if failure is None:
            failure = await self._owned.create(job, [pod_of(job, birth) for birth in wanted.create])
        if failure is not None:
            raise failure
        return wanted.again_s

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
            self._owned.note(job, notice)

    async def _unpin(self, found: Sequence[Pod]) -> None:
        for pod in found:
            if not job_plan.is_pinned(pod):
                continue
            metadata = {
                "finalizers": without(pod, TRACKING),
                "resourceVersion": pod.metadata.resource_version,
            }
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


def pod_of(job: Job, birth: Birth) -> dict[str, Any]:
    """A pod to create for a Job, pinned until it is counted."""
    index = birth.index
    base = job.metadata.name if index is None else f"{job.metadata.name}-{index}"
    owner = ownership.reference(JOBS, job)
    body = pods.from_template(job.spec.template, f"{base}-", job.metadata.namespace, owner)
    metadata = body["metadata"]
    metadata["finalizers"] = [*metadata.get("finalizers", ()), TRACKING]
    if index is None:
        return body
    for part in ("labels", "annotations"):
        metadata[part] = {**metadata.get(part, {}), indexes.LABEL: str(index)}
    if birth.failures is not None:
        metadata["annotations"] |= birth.failures.annotations()
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
