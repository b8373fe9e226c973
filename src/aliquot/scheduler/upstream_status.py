"""The condition of Kubernetes' own PodGroups and CompositePodGroups that says whether they are scheduled.

kube-scheduler writes it for groups of its pods, and we for groups of ours. In 1.36 it is PodGroupScheduled; since then
PodGroupInitiallyScheduled, which stays true for good. Other conditions of the object are others' to write.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from aliquot.clock import Clock, rfc3339
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import Condition
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import Resource, key
from aliquot.scheduler.core.jobs import lacking
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.reasons import Explanation
from aliquot.scheduler.grouping.doors import upstream
from aliquot.scheduler.groups import Groups
from aliquot.scheduler.members import Members
from aliquot.scheduler.reporter import UNSCHEDULABLE
from aliquot.scheduler.status_writer import BURST_S, StatusWriter, timed

_REASON = "Scheduled"


class OurPart(Struct, kw_only=True, omit_defaults=True):
    """Of the status."""

    conditions: list[Condition] = []


class UpstreamStatuses:
    """Parameters as in GroupStatuses."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        pods: Cache[Pod],
        groups: Groups,
        pending: Pending,
        explained: Callable[[str], Explanation | None],
        may_write: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._pods = pods
        self._groups = groups
        self._pending = pending
        self._explained = explained
        self._members = Members(pods, group=group_of, changed=self._look)

        def writer(cache: Cache[upstream.PodGroup]) -> StatusWriter[upstream.PodGroup, OurPart]:
            return StatusWriter(
                client,
                cache,
                shown=lambda group: our_part(cache.resource, group),
                wanted=lambda group, shown: self._wanted(cache.resource, group, shown),
                rng=rng,
                may_write=may_write,
                strategic=True,
            )

        self._of_groups = writer(groups.upstream_groups)
        self._of_composites = writer(groups.composites)

    async def run(self) -> None:
        """Until cancelled. May be run again."""
        stop = self._members.follow()
        try:
            async with asyncio.TaskGroup() as tasks:
                for writer in (self._of_groups, self._of_composites):
                    tasks.create_task(writer.run())
        finally:
            stop()

    def pod_told(self, name: str) -> None:
        """The pod was told why it waits."""
        pod = self._pods.get(name)
        if pod is not None and (group := group_of(pod)):
            self._look(group)

    def _look(self, name: str) -> None:
        group = self._groups.upstream_groups.get(name)
        if group is not None:
            self._of_groups.look(name, within_s=BURST_S)
            for composite in self._groups.above(group):
                self._of_composites.look(key(composite), within_s=BURST_S)

    def _wanted(self, resource: Resource, group: upstream.PodGroup, shown: OurPart) -> OurPart | None:
        before = next(iter(shown.conditions), None)
        if before is not None and before.status == "True" and _stays_true(resource):
            return None
        outer = self._groups.above(group)
        kind = upstream.COMPOSITES if outer else resource
        job = self._pending.jobs.get(upstream.key_of(kind, outer[-1] if outer else group))
        condition = self._judged(resource, group, job) if job is not None else None
        if condition is None:
            return None
        now = rfc3339(self._clock.now())
        return OurPart(conditions=[timed(condition, shown.conditions, group.metadata.generation, now)])

    def _judged(self, resource: Resource, group: upstream.PodGroup, job: Job) -> Condition | None:
        """None: nothing is known for or against it yet."""
        part = upstream.part_of(job.spec.root, resource, group) if job.spec.root is not None else None
        if part is None:
            return None
        there = Counter(job.succeeded.values())
        for name, leaf in job.placed.items():
            pod = self._pods.get(name)
            if pod is not None and pod.spec.node_name:
                there[leaf] += 1
        if lacking(part, there, {}) == {}:
            return Condition(
                type=condition_of(resource),
                status="True",
                reason=_REASON,
                message="as many pods as it takes have a node",
            )
        for pods in job.waiting.values():
            for name in pods:
                explanation = self._explained(name)
                if explanation is not None:
                    return Condition(
                        type=condition_of(resource),
                        status="False",
                        reason=UNSCHEDULABLE,
                        message=str(explanation),
                    )
        return None


def group_of(pod: Pod) -> str:
    named = pod.spec.scheduling_group
    if named is None or not named.pod_group_name:
        return ""
    return f"{pod.metadata.namespace}/{named.pod_group_name}"


def condition_of(resource: Resource) -> str:
    if resource.version == "v1alpha2":
        return "PodGroupScheduled"
    return f"{resource.kind}InitiallyScheduled"


def _stays_true(resource: Resource) -> bool:
    return condition_of(resource).endswith("InitiallyScheduled")


def our_part(resource: Resource, group: upstream.PodGroup) -> OurPart:
    wanted = condition_of(resource)
    return OurPart(conditions=[one for one in group.status.conditions if one.type == wanted])
