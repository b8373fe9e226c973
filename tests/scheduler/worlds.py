"""A cluster of counted GPUs with queues, jobs that run and jobs that wait, in a line each: for tests of who has to go.

    runs:  NAME[*PODS[/MINIMUM]] [in QUEUE] [by USER] [at PRIORITY] [since SECONDS] [saved SECONDS] [done N] [stale SECONDS]
           [kept] on NODE[ NODE ...]
    waits: NAME[*PODS[/MINIMUM]] [in QUEUE] [by USER] [at PRIORITY] [gpu N] [kept]

`kept`: it cannot be preempted. `done`: its first N pods have ended well. `saved`: what its first pod says of its last checkpoint.
`stale`: it may be below its minimum for so long; 0: for ever. Pods of a job that runs are on the nodes in turn; each has one GPU,
or `gpu N`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from msgspec import structs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import Amounts, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import BY_PRIORITY_THEN_AGE
from aliquot.scheduler.core.queues.line import Line as JobOrder
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.stale import Staleness
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import node, placed, pod

DEVICE = "nvidia.com/gpu"


def counted(shape: PodShape) -> Amounts:
    gpus = shape.request.get(DEVICE, 0)
    return {GPU: 1000 * gpus} if gpus else {}


def queue(
    name: str,
    quota: int | None = None,
    limit: int | None = None,
    *,
    weight: int = 1,
    priority: int = 100,
    parent: str = "",
    min_runtime_s: float | None = None,
) -> QueueSpec:
    terms = Terms(
        None if quota is None else 1000 * quota, UNLIMITED if limit is None else 1000 * limit, 1000 * weight
    )
    return QueueSpec(
        name,
        parent,
        priority,
        {GPU: terms},
        preempt_min_runtime_s=min_runtime_s,
        reclaim_min_runtime_s=min_runtime_s,
    )


@dataclass(frozen=True)
class Line:
    """One job, read from its line."""

    name: str
    pods: int = 1
    minimum: int | None = None
    """None: a pod of its own."""
    queue: str = ""
    user: str = ""
    priority: int = 0
    since_s: float = 0.0
    gpu: int = 1
    saved_s: float = -inf
    done: int = 0
    stale_s: int = 60
    kept: bool = False
    patient: bool = False
    nodes: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Line":
        head, _, where = text.partition(" on ")
        first, *words = head.split()
        name, _, size = first.partition("*")
        pods, _, minimum = size.partition("/")
        said = dict(zip(words[::2], words[1::2], strict=False))
        return cls(
            name,
            int(pods or 1),
            int(minimum or pods) if size else None,
            said.get("in", ""),
            said.get("by", ""),
            int(said.get("at", 0)),
            float(said.get("since", 0)),
            int(said.get("gpu", 1)),
            float(said.get("saved", -inf)),
            int(said.get("done", 0)),
            int(said.get("stale", 60)),
            "kept" in words,
            "patient" in words,
            tuple(where.split()),
        )

    def spec(self, age: float = 0.0) -> JobSpec:
        root = None if self.minimum is None else Group("", self.minimum)
        key = f"default/{self.name}"
        return JobSpec(
            key,
            root,
            self.queue,
            self.user,
            self.priority,
            not self.kept,
            created_s=age,
            stale_after_s=self.stale_s or None,
            evicts=not self.patient,
        )

    def requests(self, age: float = 0.0) -> list[PodRequest]:
        names = [self.name] if self.minimum is None else [f"{self.name}-{n}" for n in range(self.pods)]
        return [pod(name, gpu=self.gpu, priority=self.priority, created_s=age) for name in names]


class Cluster:
    def __init__(
        self,
        nodes: Sequence[NodeFacts] | Mapping[str, int],
        queues: Sequence[QueueSpec] = (),
        *,
        history: History | None = None,
        order: JobOrder = BY_PRIORITY_THEN_AGE,
    ) -> None:
        """`nodes`: also by name, with how many GPUs each has."""
        policies = Policies(order=order)
        self.snapshot, self.rankings = Snapshot(), Rankings(policies)
        self.accounts = Accounts(queues, counted, history)
        self.pending = Pending(policies.order, self.accounts)
        if isinstance(nodes, Mapping):
            nodes = [node(name, gpus=gpus) for name, gpus in nodes.items()]
        for facts in nodes:
            self.snapshot.set_facts(facts)
            self.accounts.offer(facts.name, {GPU: 1000 * facts.allocatable.get(DEVICE, 0)})

    def run(self, text: str) -> None:
        line = Line.of(text)
        for number, request in enumerate(line.requests()):
            if number < line.done:
                self.pending.succeed(request.key, line.spec(), "")
                continue
            where = line.nodes[number % len(line.nodes)]
            saved_s = line.saved_s if number == line.done else -inf
            one = structs.replace(
                placed(request, where, admitted=True), since_s=line.since_s, checkpoint_s=saved_s
            )
            self.snapshot.set_pod(one)
            self.pending.hold(request, line.spec())

    def wait(self, text: str, age: float = 0.0) -> None:
        line = Line.of(text)
        for request in line.requests(age):
            self.pending.put(request, line.spec(age))

    def decide(
        self,
        guards: Guards,
        now_s: float,
        *,
        staleness: Staleness | None = None,
        steady_s: float | None = None,
    ) -> cycle.Outcome:
        """`steady_s`: as `now_s`."""
        return cycle.run(
            self.snapshot,
            self.pending,
            self.rankings,
            guards=guards,
            staleness=staleness,
            now_s=now_s,
            steady_s=now_s if steady_s is None else steady_s,
        )
