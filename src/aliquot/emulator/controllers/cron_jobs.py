"""CronJobs: the shell around `cron_job_plan`."""

import random

from aliquot.clock import Clock
from aliquot.emulator.controllers import cron_job_plan, notices, ownership
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.owned_pods import namespace_ends
from aliquot.emulator.controllers.ownership import OWNER_INDEX
from aliquot.emulator.controllers.status import as_json, status_differs
from aliquot.emulator.controllers.types import CronJob, CronJobStatus, Job
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, Propagation
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder
from aliquot.kube.resources import CRONJOBS, JOBS


class CronJobs:
    """`jobs` has `ownership.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        cron_jobs: Cache[CronJob],
        jobs: Cache[Job],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._cron_jobs = cron_jobs
        self._jobs = jobs
        self.controller = Controller("cronjobs", self.reconcile, rng=rng, workers=2)
        self.controller.watch(cron_jobs)
        jobs.subscribe(self._job_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _job_changed(self, old: Job | None, new: Job | None) -> None:
        for job in (old, new):
            owner = ownership.controller_of(job) if job is not None else None
            if job is not None and owner is not None and owner.kind == CRONJOBS.kind:
                self.controller.enqueue(f"{job.metadata.namespace}/{owner.name}")

    async def reconcile(self, name: str) -> float | None:
        cron_job = self._cron_jobs.get(name)
        if cron_job is None:
            return None
        jobs = self._jobs.indexed(OWNER_INDEX, cron_job.metadata.uid)
        missing = await self._missing(cron_job, {job.metadata.uid for job in jobs})
        wanted = cron_job_plan.plan(cron_job, list(jobs), missing, self._clock.now())
        for notice in wanted.notices:
            self._tell(cron_job, notice)
        for job in wanted.trim:
            await self._delete(cron_job, job.metadata.name, job.metadata.uid)
        status = wanted.status
        if wanted.start is not None:
            for active in wanted.replace:
                await self._delete(cron_job, active.name, active.uid)
            begun = await self._start(cron_job, wanted.start)
            if begun is not None:
                status = cron_job_plan.started(status, wanted.start, begun)
        await self._write_status(cron_job, status)
        return wanted.again_s

    async def _missing(self, cron_job: CronJob, seen: set[str]) -> set[str]:
        """Uids of active Jobs that are no more: the cache may not show those yet that were made just now."""
        missing: set[str] = set()
        for active in cron_job.status.active or ():
            if active.uid in seen:
                continue
            try:
                found = await self._client.get(JOBS, active.name, cron_job.metadata.namespace, into=Job)
            except errors.NotFound:
                missing.add(active.uid)
                continue
            if found.metadata.uid != active.uid:
                missing.add(active.uid)
        return missing

    async def _start(self, cron_job: CronJob, due: float) -> Job | None:
        """The Job of this start, whether it is made now or was made before; None: not by us, or not possible here."""
        body = cron_job_plan.job_of(cron_job, due)
        name, namespace = body["metadata"]["name"], cron_job.metadata.namespace
        try:
            made = await self._client.create(JOBS, body, namespace, into=Job)
        except errors.AlreadyExists:
            there = await self._client.get(JOBS, name, namespace, into=Job)
            owner = ownership.controller_of(there)
            return there if owner is not None and owner.uid == cron_job.metadata.uid else None
        except errors.ApiError as error:
            if namespace_ends(error):
                return None
            self._tell(cron_job, Notice(True, "FailedCreate", f"Error creating job: {error.message}"))
            raise
        self._tell(cron_job, Notice(False, "SuccessfulCreate", f"Created job {name}"))
        return made

    async def _delete(self, cron_job: CronJob, name: str, uid: str) -> None:
        try:
            await self._client.delete(
                JOBS, name, cron_job.metadata.namespace, propagation=Propagation.BACKGROUND, uid=uid
            )
        except (errors.NotFound, errors.Conflict):
            return
        self._tell(cron_job, Notice(False, "SuccessfulDelete", f"Deleted job {name}"))

    async def _write_status(self, cron_job: CronJob, status: CronJobStatus) -> None:
        written = {
            "active": as_json(status.active),
            "lastScheduleTime": status.last_schedule_time,
            "lastSuccessfulTime": status.last_successful_time,
        }
        if not status_differs(written, cron_job.status):
            return
        metadata = cron_job.metadata
        patch = {"metadata": {"resourceVersion": metadata.resource_version}, "status": written}
        await self._client.patch(CRONJOBS, metadata.name, patch, metadata.namespace, subresource="status")

    def _tell(self, cron_job: CronJob, notice: Notice) -> None:
        notices.tell(self._recorder, CRONJOBS, cron_job, notice)
