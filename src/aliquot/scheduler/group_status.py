"""PodGroup.status, of our own: its phase, how many pods are how far, and the one reason why it waits.

The reason is the one that its pods are told, so both say the same. Groups of other projects are theirs to write; those of
Kubernetes itself are `upstream_status`'s.
"""

import random
from collections import Counter
from collections.abc import Callable

from aliquot.clock import Clock, rfc3339
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import Condition
from aliquot.kube.api.podgroup import (
    PodGroup,
    PodGroupPhase,
    PodGroupStatus,
    QueueDetails,
    QueueResource,
    WaitingReason,
)
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODGROUPS, key
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.cycle import members_missing
from aliquot.scheduler.core.jobs import lacking, least_pods
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.terms import UNLIMITED, Terms
from aliquot.scheduler.core.reasons import Explanation, Kind
from aliquot.scheduler.core.standing import Standing
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.doors import own
from aliquot.scheduler.grouping.drawn import Refused, value
from aliquot.scheduler.members import Gathered, Members, gathered
from aliquot.scheduler.queues import as_quantity
from aliquot.scheduler.reporter import FAILED_SCHEDULING, NOT_TAKEN
from aliquot.scheduler.status_writer import BURST_S, StatusWriter, timed

SCHEDULED = "Scheduled"
STALE = "Stale"
BELOW_MINIMUM = "BelowMinimum"
_POD_SCHEDULED = "PodScheduled"


class GroupStatuses:
    """`explained` answers why a pod, by its key, is not placed; None: nothing is known against it. `promised` is when a job starts
    at the latest, if that is known. `standing` as in QueueStatuses. `stale` is what there is to say of a job that fell below its
    minimum. `may_write` as in Binder."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        pods: Cache[Pod],
        groups: Cache[PodGroup],
        pending: Pending,
        explained: Callable[[str], Explanation | None],
        promised: Callable[[str], float | None],
        standing: Callable[[str], Standing],
        stale: Callable[[str], str],
        recorder: Recorder,
        may_write: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._pods = pods
        self._pending = pending
        self._explained = explained
        self._promised = promised
        self._standing = standing
        self._stale = stale
        self._recorder = recorder
        self._members = Members(pods, group=group_of, changed=self.look)
        self._writer = StatusWriter(
            client,
            groups,
            shown=lambda group: group.status,
            wanted=self._wanted,
            written=self._tell,
            rng=rng,
            may_write=may_write,
        )

    async def run(self) -> None:
        """Until cancelled. May be run again."""
        stop = self._members.follow()
        try:
            await self._writer.run()
        finally:
            stop()

    def pod_told(self, name: str) -> None:
        """The pod was told why it waits, or its job was promised another start."""
        pod = self._pods.get(name)
        if pod is not None and (group := group_of(pod)):
            self.look(group)

    def look(self, group: str) -> None:
        """There is something else to say of it."""
        self._writer.look(group, within_s=BURST_S)

    def _wanted(self, group: PodGroup, shown: PodGroupStatus) -> PodGroupStatus:
        found = gathered(self._members.of(key(group)))
        job_key = own.key_of(group.metadata.namespace, group.metadata.name)
        job = self._pending.jobs.get(job_key)
        phase = phase_of(group, job, found, shown.phase)
        waiting = self._why(group, job, found) if phase is PodGroupPhase.PENDING else None
        start_s = self._promised(job_key) if phase is PodGroupPhase.PENDING else None
        has_ended = phase in (PodGroupPhase.SUCCEEDED, PodGroupPhase.FAILED)
        # What was said before is how it is known that the group had been whole.
        not_known_yet = job is None and found.counts.scheduled > 0
        return PodGroupStatus(
            predicted_start=rfc3339(start_s) if start_s is not None else None,
            observed_generation=group.metadata.generation,
            phase=phase,
            waiting=waiting,
            pods=found.counts,
            conditions=shown.conditions
            if has_ended or not_known_yet
            else self._conditions(group, job_key, phase, waiting, shown.conditions),
        )

    def _conditions(
        self,
        group: PodGroup,
        job: str,
        phase: PodGroupPhase,
        waiting: WaitingReason | None,
        shown: list[Condition],
    ) -> list[Condition]:
        before = next((one for one in shown if one.type == STALE), None)
        found, kept = [scheduled(phase, waiting)], []
        if message := self._stale(job):
            found.append(Condition(type=STALE, status="True", reason=BELOW_MINIMUM, message=message))
        elif before is not None and before.status == "True" and job in self._pending.below:
            # Of another minimum, which it has yet to reach.
            kept.append(before)
        elif before is not None:
            found.append(no_longer_stale(phase))
        now = rfc3339(self._clock.now())
        return [*(timed(one, shown, group.metadata.generation, now) for one in found), *kept]

    def _why(self, group: PodGroup, job: Job | None, found: Gathered) -> WaitingReason | None:
        for pod in found.waiting:
            explanation = self._explained(key(pod))
            if explanation is not None:
                return self._in_words(explanation, job)
        for pod in found.waiting:
            # Not among those who are decided on: it is gated, or was refused a moment ago. What was refused is tried again and
            # again, and is refused until it is placed.
            said = next((c for c in pod.status.conditions or () if c.type == _POD_SCHEDULED), None)
            if said is not None and (said.reason in NOT_TAKEN or self._pending.job_of(key(pod)) is None):
                return WaitingReason(reason=said.reason, message=said.message)
        try:
            least = least_pods(own.root_of(group))
        except Refused as refused:
            return WaitingReason(reason=Kind.POD_GROUP.value, message=str(refused))
        have = found.counts.pending + found.counts.scheduled + found.counts.succeeded
        if have >= least:
            return None
        missing = members_missing(least, have)
        return WaitingReason(reason=missing.kind.value, message=missing.detail)

    def _in_words(self, explanation: Explanation, job: Job | None) -> WaitingReason:
        details = None
        if explanation.bound is not None and job is not None:
            queue, accounts = explanation.bound.queue, self._pending.accounts
            if queue in accounts.tree:
                details = queue_details(queue, self._pending.asked(job), accounts, self._standing(queue))
        return WaitingReason(reason=explanation.kind.value, message=str(explanation), queue_details=details)

    def _tell(self, group: PodGroup, before: PodGroupStatus, after: PodGroupStatus) -> None:
        """An event, where what holds it back is another, or nothing any more."""
        pods = after.pods
        if after.phase is PodGroupPhase.RUNNING and before.phase is not after.phase and pods is not None:
            message = f"{pods.scheduled} pods have a node, and no more are needed"
            self._recorder.event(PODGROUPS, group, Severity.NORMAL, SCHEDULED, message)
        waiting, known = after.waiting, before.waiting
        if waiting is None or pods is None or not (pods.pending or pods.scheduled):
            return
        if known is None or known.reason != waiting.reason:
            self._recorder.event(PODGROUPS, group, Severity.WARNING, FAILED_SCHEDULING, waiting.message)


def group_of(pod: Pod) -> str:
    name = value(pod.metadata, keys.POD_GROUP)
    return f"{pod.metadata.namespace}/{name}" if name else ""


def phase_of(
    group: PodGroup, job: Job | None, found: Gathered, before: PodGroupPhase | None = None
) -> PodGroupPhase:
    """One that has ended stays so until it has a pod that goes on: those that ended are deleted one by one."""
    try:
        root = job.spec.root if job is not None else own.root_of(group)
    except Refused:
        root = None
    counts = found.counts
    least = least_pods(root) if root is not None else 1
    if not (counts.pending or counts.scheduled):
        ended = counts.succeeded or counts.failed
        if before is PodGroupPhase.SUCCEEDED or (ended and counts.succeeded >= least):
            return PodGroupPhase.SUCCEEDED
        if before is PodGroupPhase.FAILED or ended:
            return PodGroupPhase.FAILED
    if counts.scheduled and counts.scheduled + counts.succeeded >= least:
        if job is None or root is None:
            return PodGroupPhase.RUNNING
        bound = (leaf for name, leaf in job.placed.items() if name in found.bound)
        there = Counter((*bound, *job.succeeded.values()))
        if lacking(root, there, {}) == {}:
            return PodGroupPhase.RUNNING
    return PodGroupPhase.PENDING


def scheduled(phase: PodGroupPhase, waiting: WaitingReason | None) -> Condition:
    """Of one that has not ended."""
    if phase is PodGroupPhase.RUNNING:
        message = "as many pods as it takes have a node"
        return Condition(type=SCHEDULED, status="True", reason=SCHEDULED, message=message)
    if waiting is None:
        waiting = WaitingReason(reason="Placing", message="its pods are being placed")
    return Condition(type=SCHEDULED, status="False", reason=waiting.reason, message=waiting.message)


def no_longer_stale(phase: PodGroupPhase) -> Condition:
    if phase is PodGroupPhase.RUNNING:
        return Condition(type=STALE, status="False", reason=SCHEDULED, message="it is whole")
    return Condition(type=STALE, status="False", reason="Waiting", message="nothing of it is left")


def queue_details(queue: str, asked: Amounts, accounts: Accounts, standing: Standing) -> QueueDetails:
    """The queue's numbers on all that the job asks for."""
    node, held = accounts.tree.node(queue), accounts.ledger.allocated(queue)

    def row(resource: str) -> QueueResource:
        terms = node.spec.terms.get(resource, Terms())
        return QueueResource(
            resource=resource,
            requested=as_quantity(resource, asked[resource]),
            allocated=as_quantity(resource, held.get(resource, 0)),
            fair_share=as_quantity(resource, standing.fair_share.get(resource, 0)),
            quota="" if terms.quota is None else as_quantity(resource, terms.quota),
            limit="" if terms.limit >= UNLIMITED else as_quantity(resource, terms.limit),
        )

    # Models that no queue has terms on are nobody's matter.
    return QueueDetails(
        queue=queue, resources=[row(resource) for resource in accounts.tree.resources if asked.get(resource)]
    )
