"""The scheduler as it runs: caches in, the core's cycle, Bindings and reasons out.

Driven by events: a change that may help somebody wakes the loop, which takes everything that arrived in the same
turn of the event loop together and decides. Nothing is polled; what waits is judged anew at least every `REVIEW_S`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.election import LeaderElection
from aliquot.kube.events import Recorder
from aliquot.kube.resources import GPUCLASSES, GPUNODES, NODES, PODS
from aliquot.kube.retry import Backoff
from aliquot.metrics.exposition import render
from aliquot.partition.asking import Asking
from aliquot.partition.value import Valuation
from aliquot.partition.value_tables import ValueTable
from aliquot.scheduler.announcing import Announcer, Events
from aliquot.scheduler.binder import Binder
from aliquot.scheduler.checkpoints import Checkpoints
from aliquot.scheduler.claiming import Claiming
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.core.cycle import Blocked, Outcome
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.pod import PlacedPod, PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import Line
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Explanation
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.departing import Departing
from aliquot.scheduler.dividing import Dividing
from aliquot.scheduler.group_status import GroupStatuses
from aliquot.scheduler.groups import Groups
from aliquot.scheduler.guards import Guarding
from aliquot.scheduler.metrics import Counts, Seen, families
from aliquot.scheduler.mirror import Mirror
from aliquot.scheduler.preparing import Preparing
from aliquot.scheduler.queue_status import QueueStatuses
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.flight_recorder import FlightRecorder
from aliquot.scheduler.reporter import Reporter
from aliquot.scheduler.runtime_limits import RuntimeLimits
from aliquot.scheduler.sequels import Sequels
from aliquot.scheduler.stale_gangs import StaleGangs
from aliquot.scheduler.surroundings import Surroundings
from aliquot.scheduler.telling import Telling
from aliquot.scheduler.timing import Timing
from aliquot.scheduler.together import Together
from aliquot.scheduler.upstream_status import UpstreamStatuses
from aliquot.scheduler.usage import UsageHistory
from aliquot.scheduler.usual_demand import UsualDemand

_log = structlog.get_logger()

COMPONENT = "aliquot-scheduler"
DEFAULT_NAMES = ("default-scheduler", "aliquot")

REVIEW_S = 60.0
MAKE_ROOM_S = 1.0
"""Whom to evict is looked for no more often."""
LEAST_WAIT_S = 1.0
"""Between two looks for the sake of a promise."""
LOOK_FOR_ROOM_S = 10.0
"""And no less often, while somebody waits."""
_SELDOM = 20
"""So many times as long as it took it is not looked for again."""
_DECISIONS_PER_TURN = 256


class Scheduler:
    """Places the pods whose spec.schedulerName is one of `names`.

    Caches that are passed in are shared and run by their owner; those left out are its own. So is `recorder`. With
    an `election` it follows from the start and decides while it leads. `value_tables`: the shipped ones, unless others are
    given. `policies`: those that `placement` starts with, unless others are given. `usage_half_life_s`: what queues and users had
    counts in turns, half as much after each; None: not at all. `ageing_s`: see `Line`. `run` may be called once.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        names: Collection[str] = DEFAULT_NAMES,
        pods: Cache[Pod] | None = None,
        nodes: Cache[Node] | None = None,
        gpu_nodes: Cache[GPUNode] | None = None,
        gpu_classes: Cache[GPUClass] | None = None,
        recorder: Recorder | None = None,
        election: LeaderElection | None = None,
        placement: Placement = Placement.WORTH,
        policies: Policies | None = None,
        value_tables: Sequence[ValueTable] | None = None,
        backfill: Style | None = Style.EASY,
        flight_recorder: FlightRecorder | None = None,
        events: Events = Events.EACH,
        usage_half_life_s: float | None = None,
        ageing_s: float | None = None,
        consolidation: bool = True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._election = election
        self._flight_recorder = flight_recorder
        # An empty cache is false: ask for None.
        self._pods = Cache(client, PODS, Pod) if pods is None else pods
        self._nodes = Cache(client, NODES, Node) if nodes is None else nodes
        self._gpu_nodes = Cache(client, GPUNODES, GPUNode) if gpu_nodes is None else gpu_nodes
        self._gpu_classes = Cache(client, GPUCLASSES, GPUClass) if gpu_classes is None else gpu_classes
        self._own_caches = [
            own
            for own, given in (
                (self._pods, pods),
                (self._nodes, nodes),
                (self._gpu_nodes, gpu_nodes),
                (self._gpu_classes, gpu_classes),
            )
            if given is None
        ]
        self._recorder = recorder or Recorder(client, COMPONENT)
        self._own_recorder = recorder is None
        self._announcer = Announcer(self._recorder, events)

        self.snapshot = Snapshot()
        policies = policies or starting(placement)
        if ageing_s is not None:
            policies = replace(policies, order=Line(ageing_s))
        history = History(usage_half_life_s) if usage_half_life_s is not None else None
        self.pending = Pending(policies.order, Accounts(history=history))
        valuation = Valuation(value_tables)
        self._rankings = Rankings(policies, valuation)
        self._asking = Asking(
            valuation,
            pods=self._pods,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=self._gpu_classes,
            changed=self._rankings.clear,
        )
        self._usual = (
            UsualDemand(self.snapshot, policies, pods=self._pods) if placement is Placement.WORTH else None
        )
        self._landings = Landings()
        self._consolidation = consolidation
        self._wake = asyncio.Event()
        self._waits_for = "pods"
        self._reporter = Reporter(client, clock=clock, rng=rng, pods=self._pods, recorder=self._recorder)
        self._telling = Telling(
            snapshot=self.snapshot,
            pending=self.pending,
            pods=self._pods,
            reporter=self._reporter,
            recorder=self._recorder,
            why=self.why,
        )
        self._groups = Groups(client, rng=rng, pods=self._pods)
        self._dividing = Dividing(client, accounts=self.pending.accounts, changed=self._wake.set)
        self._usage = UsageHistory(
            clock=clock, pods=self._pods, queues=self._dividing.queues, accounts=self.pending.accounts
        )
        self._surroundings = Surroundings(client, self._pods)
        self._timing = Timing(clock=clock, style=backfill)
        self._mirror = Mirror(
            self.snapshot,
            self.pending,
            pods=self._pods,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=self._gpu_classes,
            names=names,
            changed=self._wake.set,
            gated=self._telling.gated,
            gone=self._forget,
            member=self._groups.membership,
            leaving=self._is_leaving,
            placed=self._has_node,
            released=lambda key: self._timing.gone(key, succeeded=False),
            facts_changed=self._facts_changed,
            reserved=self._go_on,
            unreserved=self._unreserved,
            surroundings=self._surroundings,
            landings=self._landings,
        )
        may_write = election.is_leader if election is not None else lambda: True
        self.counts = Counts(clock)
        self._binder = Binder(
            client,
            rng=rng,
            mirror=self._mirror,
            reporter=self._reporter,
            announcer=self._announcer,
            counts=self.counts,
            may_write=may_write,
        )
        self._claiming = Claiming(
            client,
            clock=clock,
            rng=rng,
            snapshot=self.snapshot,
            pods=self._pods,
            surroundings=self._surroundings,
            mirror=self._mirror,
            reporter=self._reporter,
            bind=self._binder.submit,
            may_write=may_write,
        )
        self._together = Together(mirror=self._mirror, bind=self._claiming.submit)
        self._preparing = Preparing(
            client,
            clock=clock,
            rng=rng,
            snapshot=self.snapshot,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            mirror=self._mirror,
            reporter=self._reporter,
            recorder=self._recorder,
            ready=self._together.ready,
            refused=lambda key: self._together.refused(key, self._preparing),
            may_write=may_write,
        )

        self._departing = Departing(
            client,
            clock=clock,
            rng=rng,
            mirror=self._mirror,
            recorder=self._recorder,
            counts=self.counts,
            submit=lambda decision: self._together.submit(decision, self._preparing),
            may_write=may_write,
        )
        self._sequels = Sequels(client, rng=rng, pods=self._pods, met=self._groups.met, may_write=may_write)
        self._runtime_limits = RuntimeLimits(client, rng=rng, pods=self._pods, may_write=may_write)
        self._guarding = Guarding(
            client,
            pods=self._pods,
            why_kept=self._departing.why_kept,
            anew=self._mirror.anew,
            owner_of=self._groups.owner,
        )
        self._checkpoints = Checkpoints(clock=clock, pods=self._pods, recorder=self._recorder)
        self._stale_gangs = StaleGangs(
            clock=clock,
            pods=self._pods,
            groups=self._groups,
            pending=self.pending,
            recorder=self._recorder,
        )
        self._queue_statuses = QueueStatuses(
            client,
            clock=clock,
            rng=rng,
            dividing=self._dividing,
            pending=self.pending,
            usage=self._usage,
            may_write=may_write,
        )
        self._group_statuses = GroupStatuses(
            client,
            clock=clock,
            rng=rng,
            pods=self._pods,
            groups=self._groups.pod_groups,
            pending=self.pending,
            explained=self._telling.explained,
            promised=self._telling.start_of,
            standing=self._queue_statuses.standing,
            stale=self._stale_gangs.message,
            recorder=self._recorder,
            may_write=may_write,
        )
        self._upstream_statuses = UpstreamStatuses(
            client,
            clock=clock,
            rng=rng,
            pods=self._pods,
            groups=self._groups,
            pending=self.pending,
            explained=self._telling.explained,
            may_write=may_write,
        )
        self._telling.subscribe(self._group_statuses.pod_told)
        self._telling.subscribe(self._upstream_statuses.pod_told)
        self._stale_gangs.subscribe(self._group_statuses.look)

    async def run(self) -> None:
        """Until cancelled."""
        election = self._election
        await self.follow(self._lead if election is None else lambda: election.run(self._lead))

    async def follow(self, then: Callable[[], Awaitable[None]]) -> None:
        """Learn what the cluster has, and keep up with it while `then` runs. By itself this writes nothing."""
        async with asyncio.TaskGroup() as tasks:
            following = [
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")
                for cache in self._own_caches
            ]
            if self._own_recorder:
                following.append(tasks.create_task(self._recorder.run(), name="event recorder"))
            following += [
                tasks.create_task(self._surroundings.run(), name="surroundings"),
                tasks.create_task(self._groups.run(), name="groups"),
                tasks.create_task(self._dividing.run(), name="queues"),
                tasks.create_task(self._guarding.run(), name="guards"),
            ]
            for what, known in (
                ("pods", self._pods.synced),
                ("nodes", self._nodes.synced),
                ("GPUNodes", self._gpu_nodes_known),
                ("Queues and Topologies", self._dividing.synced),
            ):
                self._waits_for = what
                await known()
            stops = (
                self._asking.follow(),
                self._usual.follow() if self._usual is not None else lambda: None,
                self._dividing.follow(),
                self._usage.follow(),
                self._groups.subscribe(self._mirror.members_changed),
                self._groups.subscribe(self._sequels.look),
                self._mirror.follow(),
            )
            try:
                self._waits_for = "volumes and namespaces"
                await self._surroundings.settled()
                self._waits_for = ""
                await then()
            finally:
                for stop in stops:
                    stop()
            for task in following:
                task.cancel()

    @property
    def pods(self) -> Cache[Pod]:
        return self._pods

    @property
    def groups(self) -> Groups:
        return self._groups

    @property
    def dividing(self) -> Dividing:
        return self._dividing

    @property
    def rankings(self) -> Rankings:
        return self._rankings

    async def metrics(self) -> str:
        """What Prometheus reads."""
        election = self._election
        seen = Seen(
            leads=election is None or election.is_leader(),
            nodes=len(self.snapshot.nodes),
            waiting=self._telling.waiting(),
            queues=self._queue_statuses.standings(),
        )
        return render(families(self.counts, seen))

    def waits_for(self) -> str:
        """What it has still to learn before it could decide; empty: nothing."""
        return self._waits_for

    def decide(
        self, limit: int | None = None, *, makes_room: bool = True, steady_s: float | None = None
    ) -> Outcome:
        """One pass, on all that has been told until now. To carry out what comes of it is another matter. `steady_s`: of a clock
        that nobody sets, to look at gangs below their minimum too."""
        case = self.case(limit, makes_room=makes_room, steady_s=steady_s)
        return case.run() if self._flight_recorder is None else self._flight_recorder.run(case)

    def case(
        self, limit: int | None = None, *, makes_room: bool = True, steady_s: float | None = None
    ) -> Case:
        """What is to be decided on."""
        self._dividing.settle()
        self._usage.tell_time()
        return Case(
            self.snapshot,
            self.pending,
            self._rankings,
            self._dividing.topologies,
            limit=limit,
            backfill=self._timing.backfill,
            guards=self._guarding.now() if makes_room else None,
            landings=self._landings if self._consolidation else None,
            staleness=self._stale_gangs.staleness if steady_s is not None else None,
            now_s=self._clock.now(),
            steady_s=steady_s or 0.0,
        )

    async def _gpu_nodes_known(self) -> None:
        """GPUNodes are synced, or this cluster has no such thing (yet): GPUs are then counted from node.status."""
        backoff = Backoff(self._rng)
        while not self._gpu_nodes.is_synced:
            try:
                pages = self._client.pages(GPUNODES, into=GPUNode, page_size=1)
                async with aclosing(pages):
                    async for _ in pages:
                        break
            except errors.NotFound:
                _log.info("no GPUNode resource here: GPUs are counted from node.status")
                return
            except errors.ApiError as error:
                _log.warning("cannot read GPUNodes", error=error.message)
                await asyncio.sleep(backoff.delay_s())
                continue
            await self._gpu_nodes.synced()

    def recall_usage(self) -> None:
        """What queues and users had is as it is written, from now on."""
        self._dividing.settle()
        self._usage.recall()

    async def _lead(self) -> None:
        self.recall_usage()
        async with asyncio.TaskGroup() as tasks:
            if self._flight_recorder is not None:
                tasks.create_task(self._flight_recorder.write(), name="flight recorder")
            tasks.create_task(self._binder.run(), name="binder")
            tasks.create_task(self._announcer.run(), name="announcer")
            tasks.create_task(self._claiming.run(), name="claiming")
            tasks.create_task(self._preparing.run(), name="preparing")
            tasks.create_task(self._departing.run(), name="departing")
            tasks.create_task(self._runtime_limits.run(), name="runtime limits")
            tasks.create_task(self._sequels.run(), name="sequels")
            tasks.create_task(self._reporter.run(), name="reporter")
            tasks.create_task(self._queue_statuses.run(), name="queue statuses")
            tasks.create_task(self._group_statuses.run(), name="group statuses")
            tasks.create_task(self._upstream_statuses.run(), name="upstream statuses")
            unfollow = self._checkpoints.follow()
            try:
                await self._decide()
            finally:
                unfollow()
                self._departing.stop()
                self._together.stop()

    async def _decide(self) -> None:
        loop = asyncio.get_running_loop()
        self._review()
        review_at = loop.time() + REVIEW_S
        room_at = loop.time()
        """When others may be evicted again."""
        while True:
            self._wake.clear()
            makes_room = loop.time() >= room_at
            began = loop.time()
            outcome = self.decide(_DECISIONS_PER_TURN, makes_room=makes_room, steady_s=began)
            self.counts.cycles.add(loop.time() - began)
            if makes_room and (outcome.blocked or any(one.after for one in outcome.decisions)):
                # Whom to evict is a look at everybody: in a large cluster it has to be rarer.
                room_at = loop.time() + max(MAKE_ROOM_S, _SELDOM * (loop.time() - began))
            for decision in outcome.decisions:
                for bind in decision.binds:
                    self._telling.ignored_assignment(bind.pod.key)
                    self._reporter.forget(bind.pod.key)
                self._departing.submit(decision)
            self._telling.promises(outcome.promises)
            look_again_at = self._telling.blocked(outcome.blocked, loop.time())
            if outcome.blocked:
                # Time alone may make it possible: a minimum run time, a budget, a refusal that is long ago.
                look_again_at = min(
                    look_again_at, room_at if not makes_room else loop.time() + LOOK_FOR_ROOM_S
                )
            if outcome.fallen is not None:
                look_again_at = min(look_again_at, self._stale_gangs.tell(outcome.fallen, began))
            elif self.pending.below or self._stale_gangs.any_told:
                look_again_at = min(look_again_at, room_at)
            self._queue_statuses.look()
            if outcome.promises:
                due_in_s = min(promise.start_s for promise in outcome.promises) - self._clock.now()
                look_again_at = min(look_again_at, loop.time() + max(due_in_s, LEAST_WAIT_S))
            if outcome.more:
                await asyncio.sleep(0)
                continue
            look_again_at = min(look_again_at, self._telling.all_blocked(outcome.blocked, loop.time()))
            try:
                async with asyncio.timeout_at(min(review_at, look_again_at)):
                    await self._wake.wait()
            except TimeoutError:
                if loop.time() >= review_at:
                    self._review()
                    review_at = loop.time() + REVIEW_S

    def _review(self) -> None:
        """Judge all nodes anew, by what pods usually ask for by now, and queues by what they have had."""
        self._usage.look()
        policies = self._usual.look() if self._usual is not None else None
        if policies is not None:
            self._rankings.use(policies)
        else:
            self._rankings.clear()

    def why(self, blocked: Blocked) -> Explanation:
        return cycle.why(self.snapshot, self.pending, blocked, self._rankings, self._dividing.topologies)

    def _go_on(self, pod: PodRequest, placed: PlacedPod, job: str) -> None:
        """With what another leader began, or this one before it was restarted."""
        self._together.begun(job, pod.key)
        self._preparing.submit(pod, placed, written=True)

    def _facts_changed(self, name: str, facts: NodeFacts | None) -> None:
        if self._dividing.node_changed(name, facts):
            self._timing.node_came()

    def _has_node(self, pod: Pod, spec: JobSpec) -> None:
        self._timing.placed(pod, spec)
        self._runtime_limits.placed(pod, spec)

    def _is_leaving(self, name: str, uid: str) -> bool:
        return self._departing.is_leaving(name, uid)

    def _unreserved(self, name: str) -> None:
        self._preparing.drop(name)

    def _forget(self, name: str) -> None:
        self._reporter.forget(name)
        self._binder.forget(name)
        self._claiming.forget(name)
        self._preparing.forget(name)
        # One that is gone while it waited for others of its job.
        pod = self._pods.get(name)
        if pod is None or pod.status.phase in ("Succeeded", "Failed"):
            self._timing.gone(name, succeeded=pod is not None and pod.status.phase == "Succeeded")
            self._runtime_limits.gone(name)
            self._departing.gone(name)
        else:
            self._departing.withdrawn(name)
        self._together.refused(name, self._preparing)
