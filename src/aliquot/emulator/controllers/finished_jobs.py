"""Jobs that ended go away after `ttlSecondsAfterFinished`, and what they own with them."""

import random

from aliquot.clock import Clock
from aliquot.emulator.controllers import job_plan
from aliquot.emulator.controllers.types import Job
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, Propagation
from aliquot.kube.controller import Controller
from aliquot.kube.resources import JOBS


def expires_in_s(job: Job, now: float) -> float | None:
    """Seconds until the Job is to go (0 or less: now), None when it is to stay."""
    ended = job_plan.finished_at(job)
    if ended is None or job.spec.ttl_seconds_after_finished is None:
        return None
    return ended + job.spec.ttl_seconds_after_finished - now


class FinishedJobs:
    def __init__(self, client: Client, clock: Clock, rng: random.Random, jobs: Cache[Job]) -> None:
        self._client = client
        self._clock = clock
        self._jobs = jobs
        self.controller = Controller("finished-jobs", self.reconcile, rng=rng)
        self.controller.watch(jobs)

    async def run(self) -> None:
        await self.controller.run()

    async def reconcile(self, name: str) -> float | None:
        job = self._jobs.get(name)
        if job is None or job.metadata.deletion_timestamp is not None:
            return None
        left_s = expires_in_s(job, self._clock.now())
        if left_s is None or left_s > 0:
            return left_s
        try:
            await self._client.delete(
                JOBS,
                job.metadata.name,
                job.metadata.namespace,
                propagation=Propagation.FOREGROUND,
                uid=job.metadata.uid,
                resource_version=job.metadata.resource_version,
            )
        except errors.NotFound:
            return None
        return None
