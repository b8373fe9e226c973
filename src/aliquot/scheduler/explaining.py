"""Why, when, what if, of one pod or one group: what the scheduler knows and would decide, without doing any of it.

It is the scheduler itself that looks, from the same caches into the same core; it only never leads.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from aliquot.clock import Clock, parse_rfc3339, rfc3339
from aliquot.document import nearest
from aliquot.kube import duration
from aliquot.kube.api.core import Pod
from aliquot.kube.client import Client
from aliquot.kube.resources import key
from aliquot.scheduler.claiming import NOT_BOUND
from aliquot.scheduler.controller import Scheduler
from aliquot.scheduler.core.backfill.prediction import Prediction, predicted
from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.cycle import Blocked, members_missing
from aliquot.scheduler.core.jobs import least_pods
from aliquot.scheduler.core.line_up import line_up
from aliquot.scheduler.core.lost import gpu_time
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.queues.terms import UNLIMITED, Terms, primary
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.queues.words import amount, value
from aliquot.scheduler.core.reasons import IN_VAIN, Explanation, Kind
from aliquot.scheduler.core.standing import Standing, standings
from aliquot.scheduler.core.what_if import changes
from aliquot.scheduler.group_status import group_of
from aliquot.scheduler.grouping.doors import own
from aliquot.scheduler.grouping.drawn import Refused
from aliquot.scheduler.onlooking import looked
from aliquot.scheduler.preparing import NOT_MADE
from aliquot.scheduler.queues import as_quantity
from aliquot.scheduler.reporter import NOT_TAKEN, scheduled_condition

_AHEAD = 3
_TRIED = NOT_TAKEN | {NOT_MADE, NOT_BOUND}
"""What a pod says that had a node in mind, and did not get there."""


class Unknown(Exception):
    """One line: there is no such thing, with the name that may have been meant."""


@dataclass(frozen=True, slots=True)
class Subject:
    kind: str
    """`pod` or `podgroup`."""
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Why(Struct, kw_only=True, rename="camel", frozen=True):
    reason: str
    """CamelCase."""
    message: str
    detail: str = ""
    """How many nodes fail with what."""


class Members(Struct, kw_only=True, rename="camel", frozen=True):
    needed: int
    exist: int
    placed: int


class QueueNumbers(Struct, kw_only=True, rename="camel", frozen=True):
    """Of one resource, as quantities; empty: nothing is stated."""

    queue: str
    resource: str
    allocated: str
    requested: str
    fair_share: str
    quota: str
    limit: str
    pending_jobs: int


class Usage(Struct, kw_only=True, rename="camel", frozen=True):
    """What the queue of the job and its user held of late, of what the job is judged by, and what that does to their turns."""

    queue: str
    resource: str
    half_life: str
    had: str
    turn_share: str
    """What the queue is due with that counted: by it it is served. By its fair share it keeps or reclaims room."""
    user: str
    user_had: str
    told: str


class Ahead(Struct, kw_only=True, rename="camel", frozen=True):
    job: str
    asks: str
    priority: int


class Cure(Struct, kw_only=True, rename="camel", frozen=True):
    """All of the steps together let it run."""

    steps: tuple[str, ...]


class Answer(Struct, kw_only=True, rename="camel", frozen=True):
    kind: str
    namespace: str
    name: str
    state: str
    """Placed, Ended, Placeable, MakingRoom, Waiting, NotOurs, Gated, BeingDeleted, MakingDevices."""
    told: str
    """All of it in one line."""
    why: Why | None = None
    job: str = ""
    members: Members | None = None
    queues: tuple[QueueNumbers, ...] = ()
    """Its own, and the one above that holds it back."""
    usage: Usage | None = None
    """None: what was had does not count."""
    position: int | None = None
    """In the line of its queue, from 1."""
    line: int = 0
    """How many are in it."""
    ahead: tuple[Ahead, ...] = ()
    """The first of them."""
    changes: tuple[Cure, ...] = ()
    """The cheapest first."""
    predicted_start: str | None = None
    start_told: str = ""


async def explain(
    client: Client, subject: Subject, *, clock: Clock, names: Iterable[str], ageing_s: float | None = None
) -> Answer:
    """Raises Unknown, ApiError, and TimeoutError if the cluster does not answer all that is asked of it."""
    ours = frozenset(names)
    unknown: BaseException | None = None
    try:
        return await looked(
            client,
            lambda scheduler: _Look(scheduler, subject, clock, ours).answer(),
            clock=clock,
            names=ours,
            ageing_s=ageing_s,
        )
    except* Unknown as group:
        # Not raised from here: Python 3.11.2, which is Debian 12's, takes a member of the group for the whole of it.
        unknown = group.exceptions[0]
    assert unknown is not None
    raise unknown


class _Look:
    def __init__(self, scheduler: Scheduler, subject: Subject, clock: Clock, names: frozenset[str]) -> None:
        self._scheduler = scheduler
        self._pending = scheduler.pending
        self._subject = subject
        self._now_s = clock.now()
        self._names = names

    def answer(self) -> Answer:
        return self._pod() if self._subject.kind == "pod" else self._group()

    def _said(self, state: str, told: str) -> Answer:
        subject = self._subject
        return Answer(
            kind=subject.kind,
            namespace=subject.namespace,
            name=subject.name,
            state=state,
            told=f"{subject} {told}",
        )

    # --- what is asked about ---

    def _pod(self) -> Answer:
        subject, scheduler = self._subject, self._scheduler
        name = f"{subject.namespace}/{subject.name}"
        pod = scheduler.pods.get(name)
        if pod is None:
            raise Unknown(f"there is no {subject}{_nearest(subject, map(key, scheduler.pods.values()))}")
        if pod.status.has_ended:
            return self._said("Ended", f"has ended: {pod.status.phase}")
        if pod.spec.node_name:
            return self._said("Placed", f"is on node {pod.spec.node_name} ({pod.status.phase or 'Pending'})")
        if pod.metadata.deletion_timestamp is not None:
            return self._said("BeingDeleted", "is being deleted")
        if pod.spec.scheduler_name not in self._names:
            whose = pod.spec.scheduler_name
            return self._said(
                "NotOurs", f"is placed by the scheduler {whose!r}: only that one knows why it waits"
            )
        if pod.spec.scheduling_gates:
            gates = ", ".join(gate.name for gate in pod.spec.scheduling_gates)
            return self._said("Gated", f"waits for its scheduling gates: {gates}")
        there = scheduler.snapshot.pods.get(name)
        if there is not None:
            return self._said(
                "MakingDevices", f"waits for its devices, which are being made on node {there.node}"
            )
        job = self._pending.job_of(name)
        if job is None:
            return self._said("Waiting", "waits, and nothing is known against it")
        return self._job(job)

    def _group(self) -> Answer:
        subject, scheduler = self._subject, self._scheduler
        wanted = f"{subject.namespace}/{subject.name}"
        for name, job in self._pending.jobs.items():
            if _group_of(name) == wanted:
                return self._job(job)
        group = scheduler.groups.pod_groups.get(wanted)
        if group is None:
            known = [*map(key, scheduler.groups.pod_groups.values()), *map(_group_of, self._pending.jobs)]
            raise Unknown(f"there is no {subject}{_nearest(subject, known)}")
        try:
            least = least_pods(own.root_of(group))
        except Refused as refused:
            return self._waits(Explanation(Kind.POD_GROUP, str(refused)))
        ended = [pod for pod in scheduler.pods.values() if group_of(pod) == wanted and pod.status.has_ended]
        if len(ended) >= least:
            return self._said("Ended", f"has ended: {len(ended)} of its pods have")
        reason = members_missing(least, 0)
        return self._waits(Explanation(reason.kind, reason.detail))

    def _waits(self, explanation: Explanation) -> Answer:
        message = explanation.message
        answer = self._said("Waiting", message if message.startswith("waits ") else f"waits: {message}")
        why = Why(reason=explanation.kind.value, message=explanation.message, detail=explanation.detail)
        return _with(answer, why=why)

    # --- a job of which pods wait, or run ---

    def _job(self, job: Job) -> Answer:
        scheduler, pending, spec = self._scheduler, self._pending, job.spec
        scheduler.dividing.settle()
        needed = least_pods(spec.root) if spec.root is not None else 1
        members = Members(
            needed=needed, exist=sum(job.here.values()) + len(job.placed), placed=len(job.placed)
        )
        if not job.waiting:
            return _with(
                self._said("Placed", f"has all its pods placed: {len(job.placed)}, and {needed} are needed"),
                job=spoken(spec.key),
                members=members,
            )
        line = line_up(pending, job)
        position = next(number for number, one in enumerate(line) if one is job)
        ahead = tuple(self._ahead(one) for one in line[: min(position, _AHEAD)])
        standing = standings(pending) if pending.accounts.declared else {}
        usage = self._usage(job)
        outcome = scheduler.decide()
        common = {
            "job": spoken(spec.key),
            "usage": usage,
            "members": members,
            "position": position + 1,
            "line": len(line),
            "ahead": ahead,
        }
        for decision in outcome.decisions:
            if decision.job.key == spec.key:
                where = ", ".join(dict.fromkeys(bind.placed.node for bind in decision.binds))
                if decision.after:
                    others = ", ".join(pod.key for pod in decision.after)
                    # All pods of one job have the same.
                    gpu_s = sum({id(lost): lost.gpu_s for lost in decision.lost.values()}.values())
                    costs = f", at the cost of {gpu_time(gpu_s)} of their work" if gpu_s else ""
                    answer = self._said(
                        "MakingRoom", f"is to start on {where} once others have left: {others}{costs}"
                    )
                else:
                    told = f"has room on {where}: it is placed at once where the scheduler runs"
                    answer = self._said("Placeable", f"{told}{self._last_tried()}")
                return _with(answer, queues=self._numbers(job, None, standing), **common)
        alike = pending.alike_of(spec.key)
        blocked = next((one for one in outcome.blocked if one.alike == alike), None)
        if blocked is None:
            return _with(self._said("Waiting", "waits, and nothing is known against it"), **common)
        promise = next((one for one in outcome.promises if one.job.key == spec.key), None)
        prediction = None
        if promise is not None:
            prediction = Prediction(promise.start_s, promised=True)
        elif blocked.shortfall.reason is None:
            prediction = self._prediction(job)
        return self._blocked(job, blocked, standing, prediction, common)

    def _blocked(
        self,
        job: Job,
        blocked: Blocked,
        standing: Mapping[str, Standing],
        prediction: Prediction | None,
        common: Mapping[str, object],
    ) -> Answer:
        scheduler = self._scheduler
        explanation = scheduler.why(blocked)
        answer = self._waits(explanation)
        if job.lacks() == {}:
            more = sum(job.here.values())
            told = f"runs, and {more} more of its pods {'waits' if more == 1 else 'wait'}"
            if self._subject.kind == "pod":
                told = "waits, and its job runs without it"
            answer = _with(self._said("Waiting", f"{told}: {explanation.message}"), why=answer.why)
        cures = changes(
            scheduler.snapshot, self._pending, scheduler.rankings, scheduler.dividing.topologies, job
        )
        answer = _with(
            answer,
            queues=self._numbers(job, explanation, standing),
            changes=tuple(Cure(steps=change.steps) for change in cures),
            **common,
        )
        if prediction is None or explanation.kind in IN_VAIN:
            return answer
        start_s = prediction.start_s
        return _with(
            answer,
            predicted_start=rfc3339(start_s) if start_s is not None else None,
            start_told=prediction.told(self._now_s),
        )

    def _last_tried(self) -> str:
        """Why it is not on a node that it was to have, as the scheduler wrote it on the pod."""
        name = f"{self._subject.namespace}/{self._subject.name}"
        pod = self._scheduler.pods.get(name) if self._subject.kind == "pod" else None
        said = scheduled_condition(pod) if pod is not None else None
        if said is None or said.status != "False" or said.reason not in _TRIED:
            return ""
        since = f", since {said.last_transition_time}" if said.last_transition_time else ""
        return f". It is being tried{since}: {said.message}"

    def _ahead(self, job: Job) -> Ahead:
        asked = self._pending.asked(job)
        resource = primary(asked)
        count = sum((job.lacks() or job.here).values())
        pods = f"{count} pod{'s' * (count != 1)}"
        asks = f"{pods}, {amount(resource, asked[resource])}" if asked.get(resource) else pods
        return Ahead(job=spoken(job.spec.key), asks=asks, priority=job.spec.priority)

    def _numbers(
        self, job: Job, explanation: Explanation | None, standing: Mapping[str, Standing]
    ) -> tuple[QueueNumbers, ...]:
        tree = self._pending.accounts.tree
        bound = explanation.bound if explanation is not None else None
        queues = [job.spec.queue or DEFAULT, *([bound.queue] if bound is not None else [])]
        asked = self._pending.asked(job) or {primary({}): 0}
        rows = []
        for queue in dict.fromkeys(queues):
            has = standing.get(queue)
            if has is None or queue not in tree:
                continue
            terms = tree.node(queue).spec.terms
            for resource in [one for one in tree.resources if one in asked]:
                one = terms.get(resource, Terms())
                rows.append(
                    QueueNumbers(
                        queue=queue,
                        resource=resource,
                        allocated=as_quantity(resource, has.allocated.get(resource, 0)),
                        requested=as_quantity(resource, has.requested.get(resource, 0)),
                        fair_share=as_quantity(resource, has.fair_share.get(resource, 0)),
                        quota="" if one.quota is None else as_quantity(resource, one.quota),
                        limit="" if one.limit >= UNLIMITED else as_quantity(resource, one.limit),
                        pending_jobs=has.pending_jobs,
                    )
                )
        return tuple(rows)

    def _usage(self, job: Job) -> Usage | None:
        accounts, queue = self._pending.accounts, job.spec.queue or DEFAULT
        history, resource = accounts.history, primary(self._pending.asked(job))
        if history is None or not accounts.declared or accounts.tree.refusal(queue) is not None:
            return None
        had = history.past.used.get(queue, {}).get(resource, 0)
        due, due_in_turn = (
            shares.of(queue).get(resource, 0) for shares in (accounts.shares(), accounts.turns())
        )
        user_had = history.users(queue).get(job.spec.user, {}).get(resource, 0)
        told = f"{amount(resource, had)} on average (half-life {duration.text(history.half_life_s)})"
        if job.spec.user:
            told += f", user {job.spec.user} {value(resource, user_had)} of it"
        if due_in_turn != due:
            told += (
                f": in turns queue {queue} is due {value(resource, due_in_turn)}, not {value(resource, due)}"
            )
        return Usage(
            queue=queue,
            resource=resource,
            half_life=duration.text(history.half_life_s),
            had=as_quantity(resource, had),
            turn_share=as_quantity(resource, due_in_turn),
            user=job.spec.user,
            user_had=as_quantity(resource, user_had),
            told=told,
        )

    def _prediction(self, job: Job) -> Prediction | None:
        """Of what runs only what somebody says of its length is known."""
        backfill = Backfill()
        for other in self._pending.jobs.values():
            starts = [
                _started_s(pod)
                for name in other.placed
                if (pod := self._scheduler.pods.get(name)) is not None
            ]
            if starts:
                backfill.started(other.spec, list(other.placed), min(starts))
        found = predicted(self._scheduler.snapshot, self._pending, backfill, self._now_s)
        return found.get(job.spec.key)


def spoken(job: str) -> str:
    """`podgroup team-a/train` of the key `team-a/podgroup.aliquot.dev:train`; of a pod, `pod team-a/x`."""
    namespace, _, rest = job.partition("/")
    kind, colon, name = rest.partition(":")
    return f"{kind.partition('.')[0]} {namespace}/{name}" if colon else f"pod {job}"


_GROUP_JOB = re.compile(r"([^/]+)/(?:composite)?podgroup\.[^:]*:(.+)")


def _group_of(job: str) -> str:
    """`team-a/train` of the job of a group object, whosever it is."""
    found = _GROUP_JOB.fullmatch(job)
    return f"{found[1]}/{found[2]}" if found else ""


def _started_s(pod: Pod) -> float:
    stamp = pod.status.start_time or pod.metadata.creation_timestamp
    return parse_rfc3339(stamp) if stamp else 0.0


def _nearest(subject: Subject, known: Iterable[str]) -> str:
    split = [tuple(name.split("/", 1)) for name in known if "/" in name]
    elsewhere = sorted(namespace for namespace, name in split if name == subject.name)
    if elsewhere:
        return f"; there is one in the namespace {' and in '.join(elsewhere[:3])}"
    return nearest(subject.name, [name for namespace, name in split if namespace == subject.namespace])


def _with(answer: Answer, **fields: object) -> Answer:
    return replace(answer, **fields)
