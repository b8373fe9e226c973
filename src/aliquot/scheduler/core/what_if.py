"""What if: the changes that would let a job run, tried one by one on the cluster as it is, the cheapest first.

What the job says of its place goes first, since it costs nobody anything; then its queue's limit; then asking for less; then
more nodes. Where the queue is in the way as well, a higher limit is part of the change.
Others that wait are no matter: what runs is all that is in the way.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias

from msgspec import structs

from aliquot.scheduler.core.attempts import Fitting, Shortfall
from aliquot.scheduler.core.explain import amount as in_words
from aliquot.scheduler.core.explain import bare
from aliquot.scheduler.core.facts import Devices, NodeFacts
from aliquot.scheduler.core.filters import is_extended
from aliquot.scheduler.core.jobs import Group, JobSpec, extras, lacking
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import CPU, MEMORY, PODS, Amounts, ContainerKind, PodRequest, PodShape
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.terms import QueueSpec, Terms
from aliquot.scheduler.core.queues.tree import DEFAULT, ROOT, QueueTree
from aliquot.scheduler.core.queues.words import amount as queue_amount
from aliquot.scheduler.core.queues.words import value as queue_value
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Kind
from aliquot.scheduler.core.rules import NO_RULES
from aliquot.scheduler.core.scores import is_accelerator
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import Topology

_HOSTNAME = "kubernetes.io/hostname"
_MOST_RAISED = 16
_MOST_NODES = 256
_MOST_MODELS = 8
"""So many makes of nodes are tried."""
_GRAINS: Mapping[str, tuple[int, int]] = {CPU: (100, 1000), MEMORY: (64 << 20, 1 << 30)}
"""What is asked for less is a multiple of: small amounts, large ones."""

Lacks: TypeAlias = Mapping[str, int]


class Sort(IntEnum):
    """The cheaper first."""

    PLACE = 1
    """What the job says of nodes, and of its place beside others."""
    PREEMPTIBLE = 2
    QUEUE = 3
    LESS = 4
    FEWER = 5
    NODES = 6


@dataclass(frozen=True, slots=True)
class Change:
    """Of one sort, or with a higher limit before it."""

    sort: Sort
    steps: tuple[str, ...]
    """Each an imperative; all of them have to be done."""
    size: float = 0.0
    """Of two changes of a sort the smaller is cheaper."""

    def __str__(self) -> str:
        return ", and ".join(self.steps)


@dataclass(frozen=True, slots=True)
class _Try:
    sort: Sort
    step: str
    job: Job
    lacks: Lacks
    more: tuple[NodeFacts, ...] = ()
    size: float = 0.0


def changes(
    snapshot: Snapshot,
    pending: Pending,
    rankings: Rankings,
    topologies: Mapping[str, Topology],
    job: Job,
) -> list[Change]:
    """Those that would do; none where it would run as it is, or where something of another kind is in the way: its message says
    what to do. The snapshot is left as it was."""
    if job.refusal is not None or pending.accounts.closed(job.spec) is not None:
        return []
    return _WhatIf(snapshot, pending, rankings, topologies).changes(job)


class _WhatIf:
    def __init__(
        self,
        snapshot: Snapshot,
        pending: Pending,
        rankings: Rankings,
        topologies: Mapping[str, Topology],
    ) -> None:
        self._snapshot = snapshot
        self._pending = pending
        self._rankings = rankings
        self._topologies = topologies

    def changes(self, job: Job) -> list[Change]:
        lacks = _sought(job)
        alone: list[Change] = []
        with_raise: list[Change] = []
        if lacks is not None and self._finds_room(job, lacks):
            raised = self._raised(job, lacks)
            if not raised:
                return []
            alone.append(Change(Sort.QUEUE, raised))
            if not job.spec.preemptible:
                willing = _as(job, structs.replace(job.spec, preemptible=True))
                if not self._raised(willing, lacks):
                    alone.append(Change(Sort.PREEMPTIBLE, ("let it be preempted",)))
        for one in self._tries(job, lacks):
            raised = self._raised(one.job, one.lacks)
            if raised:
                with_raise.append(Change(one.sort, (*raised, one.step), one.size))
            else:
                alone.append(Change(one.sort, (one.step,), one.size))
        return sorted(alone + with_raise, key=lambda change: (change.sort, change.size, change.steps))

    def _tries(self, job: Job, lacks: Lacks | None) -> Iterator[_Try]:
        """Those with which nodes are found."""
        if lacks is not None:
            if not self._finds_room(job, lacks):
                yield from self._elsewhere(job, lacks)
                yield from self._more_nodes(job, lacks)
            yield from self._less(job, lacks)
        yield from self._fewer(job)

    def _finds_room(self, job: Job, lacks: Lacks, more: Sequence[NodeFacts] = ()) -> bool:
        for facts in more:
            self._snapshot.set_facts(facts)
        try:
            session = Session(self._snapshot)
            found = Fitting(session, self._rankings, self._topologies).place_job(job, lacks)
            session.undo()
            return not isinstance(found, Shortfall)
        finally:
            for facts in more:
                self._snapshot.remove_facts(facts.name)

    def _raised(self, job: Job, lacks: Lacks) -> tuple[str, ...]:
        """What has to be raised of its queue and those above; nothing where it may have it."""
        accounts = self._pending.accounts
        if not accounts.declared:
            return ()
        asked = self._pending.amounts(job, lacks)
        return tuple(_raised(accounts.ledger, job.spec, asked))

    # --- its place ---

    def _elsewhere(self, job: Job, lacks: Lacks) -> Iterator[_Try]:
        for step, without in _LOOSER:
            if any(without(shape) is not None for shape in _shapes(job)):
                other = _reshaped(job, lambda shape, without=without: without(shape) or shape)  # type: ignore[misc]
                if self._finds_room(other, lacks):
                    yield _Try(Sort.PLACE, step, other, lacks)
        root = job.spec.root
        if root is None:
            return
        for level in dict.fromkeys(_levels(root)):
            other = _as(job, structs.replace(job.spec, root=_without_level(root, level)))
            if self._finds_room(other, lacks):
                yield _Try(Sort.PLACE, f"do not require its pods to be in one {level}", other, lacks)

    # --- less ---

    def _less(self, job: Job, lacks: Lacks) -> Iterator[_Try]:
        shapes = {shape.signature: shape for shape in _shapes(job)}
        for shape in shapes.values():
            for resource, asked in shape.request.items():
                if resource == PODS or _containers_with(shape, resource) is None:
                    continue
                found = self._least_less(job, lacks, shape, resource, asked)
                if found is not None:
                    yield found

    def _least_less(self, job: Job, lacks: Lacks, shape: PodShape, resource: str, asked: int) -> _Try | None:
        small, large = _GRAINS.get(resource, (1, 1))
        grain = large if asked >= 2 * large else small
        if asked <= grain:
            return None

        def tried(steps: int) -> _Try | None:
            least = steps * grain
            other = _reshaped(
                job, lambda one: _with(one, resource, least) if one.signature == shape.signature else one
            )
            if self._raised(other, lacks) or not self._finds_room(other, lacks):
                return None
            each = " in each pod" if sum(lacks.values()) > 1 else ""
            step = f"ask for {in_words(resource, least)}{each} instead of {bare(resource, asked)}"
            scarce = 0.0 if is_accelerator(resource) else 1.0
            return _Try(Sort.LESS, step, other, lacks, size=scarce + 1 - least / asked)

        return _largest(tried, (asked - 1) // grain)

    def _fewer(self, job: Job) -> Iterator[_Try]:
        root = job.spec.root
        if root is None or root.groups or root.minimum < 2:
            return
        there = job.there.get(root.name, 0)

        def tried(minimum: int) -> _Try | None:
            other = _as(job, structs.replace(job.spec, root=replace(root, minimum=minimum)))
            lacks = lacking(replace(root, minimum=minimum), job.there, job.here)
            if not lacks or self._raised(other, lacks) or not self._finds_room(other, lacks):
                return None
            step = f"begin with {minimum} pod{'s' * (minimum > 1)} instead of {root.minimum}"
            return _Try(Sort.FEWER, step, other, lacks, size=1 - minimum / root.minimum)

        if there < root.minimum and (found := _largest(tried, root.minimum - 1, there + 1)) is not None:
            yield found

    # --- more nodes ---

    def _more_nodes(self, job: Job, lacks: Lacks) -> Iterator[_Try]:
        most = min(_MOST_NODES, sum(lacks.values()))
        for facts in self._makes()[:_MOST_MODELS]:

            def tried(count: int, facts: NodeFacts = facts) -> _Try | None:
                more = tuple(_another(facts, number) for number in range(count))
                if not self._finds_room(job, lacks, more):
                    return None
                has = _most_telling(facts)
                step = f"add {count} {'node' if count == 1 else 'nodes'} like {facts.name}{f' ({has})' if has else ''}"
                return _Try(Sort.NODES, step, job, lacks, more, size=count * (1 + _devices(facts)))

            if (found := _smallest(tried, most)) is not None:
                yield found

    def _makes(self) -> list[NodeFacts]:
        """One node of each make, those with the most devices first."""
        found: dict[object, NodeFacts] = {}
        for node in self._snapshot.nodes.values():
            facts = node.reported
            if not facts.unschedulable:
                devices = Counter((device.resource, device.capacity) for device in facts.devices.all)
                make = tuple(sorted(facts.allocatable.items())), tuple(sorted(devices.items())), facts.taints
                found.setdefault(make, facts)
        return sorted(found.values(), key=lambda facts: (-_devices(facts), facts.name))


def _sought(job: Job) -> Lacks | None:
    lacks = job.lacks()
    if lacks == {} and job.spec.root is not None:
        return next(iter(extras(job.spec.root, job.there, job.here)), None)
    return lacks or None


def _largest(tried: Callable[[int], _Try | None], most: int, least: int = 1) -> _Try | None:
    """What is asked for, as large as will do: what does for more does for less."""
    best: _Try | None = None
    while least <= most:
        middle = (least + most + 1) // 2
        found = tried(middle)
        if found is None:
            most = middle - 1
        else:
            best, least = found, middle + 1
    return best


def _smallest(tried: Callable[[int], _Try | None], most: int) -> _Try | None:
    best, least = tried(most), 1
    while best is not None and least < most:
        middle = (least + most) // 2
        found = tried(middle)
        if found is None:
            least = middle + 1
        else:
            best, most = found, middle
    return best


# --- jobs that ask otherwise ---


def _as(job: Job, spec: JobSpec) -> Job:
    return Job(spec, job.waiting, job.placed, job.succeeded, job.leaving)


def _shapes(job: Job) -> list[PodShape]:
    return [pod.shape for pods in job.waiting.values() for pod in pods.values()]


def _reshaped(job: Job, change: Callable[[PodShape], PodShape]) -> Job:
    def pod(one: PodRequest) -> PodRequest:
        return replace(one, shape=change(one.shape))

    waiting = {leaf: {key: pod(one) for key, one in pods.items()} for leaf, pods in job.waiting.items()}
    return Job(job.spec, waiting, job.placed, job.succeeded, job.leaving)


def _without_selector(shape: PodShape) -> PodShape | None:
    if not shape.node_selector:
        return None
    return replace(shape, signature=f"{shape.signature} without selector", node_selector=())


def _without_affinity(shape: PodShape) -> PodShape | None:
    if shape.required is None:
        return None
    return replace(shape, signature=f"{shape.signature} without affinity", required=None)


def _without_rules(shape: PodShape) -> PodShape | None:
    if not shape.rules:
        return None
    return replace(shape, signature=f"{shape.signature} without rules", rules=NO_RULES)


def _without_name(shape: PodShape) -> PodShape | None:
    if not shape.node_name:
        return None
    return replace(shape, signature=f"{shape.signature} without name", node_name="")


def _without_gpu_level(shape: PodShape) -> PodShape | None:
    if shape.gpu_wish is None or shape.gpu_wish.required is None:
        return None
    return replace(shape, signature=f"{shape.signature} without GPU level", gpu_wish=None)


_LOOSER: Sequence[tuple[str, Callable[[PodShape], PodShape | None]]] = (
    ("take out its nodeSelector", _without_selector),
    ("take out its required node affinity", _without_affinity),
    ("take out its rules between pods (pod affinity, anti-affinity, spread)", _without_rules),
    ("do not ask for a node by its name", _without_name),
    ("take out aliquot.dev/required-gpu-level", _without_gpu_level),
)


def _levels(group: Group) -> Iterator[str]:
    if group.topology is not None and group.topology.required:
        yield group.topology.required
    for part in group.groups:
        yield from _levels(part)


def _without_level(group: Group, level: str) -> Group:
    wish = group.topology
    if wish is not None and wish.required == level:
        preferred = wish.preferred or level
        wish = replace(wish, required="", preferred=preferred)
    return replace(group, topology=wish, groups=tuple(_without_level(part, level) for part in group.groups))


def _containers_with(shape: PodShape, resource: str) -> list[str] | None:
    """Names of those that ask for it, if it is clear what less of it would be: all of them run side by side."""
    asking = [one for one in shape.containers if one.requests.get(resource)]
    if not asking or any(one.kind is ContainerKind.INIT for one in asking):
        return None
    return [one.name for one in asking]


def _with(shape: PodShape, resource: str, least: int) -> PodShape:
    """The pod asks for that much of it; what is less comes off the containers that ask for most."""
    left = shape.request[resource] - least
    containers = list(shape.containers)
    order = sorted(range(len(containers)), key=lambda index: -containers[index].requests.get(resource, 0))
    for index in order:
        has = containers[index].requests.get(resource, 0)
        less = min(left, has)
        if less:
            requests: Amounts = {**containers[index].requests, resource: has - less}
            containers[index] = replace(containers[index], requests={r: n for r, n in requests.items() if n})
            left -= less
    return replace(
        shape,
        signature=f"{shape.signature} with {least} {resource}",
        containers=tuple(containers),
        request={**shape.request, resource: least},
    )


# --- nodes that are not there ---


def _another(facts: NodeFacts, number: int) -> NodeFacts:
    """Like it, with nobody on it, and all of its devices in order."""
    suffix = f" +{number + 1}"
    return replace(
        facts,
        name=facts.name + suffix,
        labels={**facts.labels, _HOSTNAME: facts.name + suffix},
        devices=Devices(
            (
                replace(device, gpu=device.gpu + suffix, holders=(), withheld=None)
                for device in facts.devices.all
            ),
            {(one + suffix, other + suffix): score for (one, other), score in facts.devices.links.items()},
            {
                level: [frozenset(gpu + suffix for gpu in domain) for domain in domains]
                for level, domains in facts.devices.domains.items()
            },
        ),
        gpus=tuple(replace(gpu, uuid=gpu.uuid + suffix) for gpu in facts.gpus),
    )


def _devices(facts: NodeFacts) -> int:
    counted = sum(number for resource, number in facts.allocatable.items() if is_accelerator(resource))
    return counted + sum(device.capacity for device in facts.devices.all)


def _most_telling(facts: NodeFacts) -> str:
    there = Counter(facts.devices.totals)
    there.update({r: n for r, n in facts.allocatable.items() if is_extended(r)})
    return ", ".join(in_words(resource, there[resource]) for resource in sorted(there)[:3])


# --- queues ---


def _raised(ledger: Ledger, spec: JobSpec, asked: Amounts) -> Iterator[str]:
    queue = spec.queue or DEFAULT
    for _ in range(_MOST_RAISED):
        reason = ledger.refusal(queue, asked, preemptible=spec.preemptible)
        if reason is None or reason.bound is None:
            return
        bound = reason.bound
        enough = bound.allocated + bound.asked
        limited = reason.kind in (Kind.LARGER_THAN_LIMIT, Kind.OVER_LIMIT)
        what = "limit" if limited else "quota"
        before = queue_value(bound.resource, bound.most)
        yield (
            f"raise the {what} of queue {bound.queue} from {before} to {queue_amount(bound.resource, enough)}"
        )
        ledger = ledger.under(
            QueueTree(
                _with_term(node.spec, bound.resource, enough, limited)
                if node.name == bound.queue
                else node.spec
                for node in ledger.tree.nodes[ROOT + 1 :]
            )
        )


def _with_term(spec: QueueSpec, resource: str, enough: int, limited: bool) -> QueueSpec:
    terms = spec.terms.get(resource, Terms())
    terms = replace(terms, limit=enough) if limited else replace(terms, quota=enough)
    return replace(spec, terms={**spec.terms, resource: terms})
