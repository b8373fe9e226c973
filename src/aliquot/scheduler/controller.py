"""The scheduler as it runs: caches in, the core's cycle, Bindings and reasons out.

Driven by events: a change that may help somebody wakes the loop, which takes everything that arrived in the same
turn of the event loop together and decides. Nothing is polled; `pace` says when time alone is worth a look, and nodes are
judged anew every `REVIEW_S`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace

from aliquot.clock import Clock
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.election import LeaderElection
from aliquot.kube.events import Recorder
from aliquot.metrics.exposition import render
from aliquot.partition.asking import Asking
from aliquot.partition.value import Valuation
from aliquot.partition.value_tables import ValueTable
from aliquot.scheduler.announcing import Announcer
from aliquot.scheduler.binder import Binder
from aliquot.scheduler.checkpoints import Checkpoints
from aliquot.scheduler.claiming import Claiming
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.cycle import Blocked, Decision, Outcome
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
from aliquot.scheduler.mirror import Callbacks, Mirror
from aliquot.scheduler.pace import Pace
from aliquot.scheduler.preparing import Preparing
from aliquot.scheduler.queue_status import QueueStatuses
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.flight_recorder import FlightRecorder
from aliquot.scheduler.reporter import Reporter
from aliquot.scheduler.runtime_limits import RuntimeLimits
from aliquot.scheduler.sequels import Sequels
from aliquot.scheduler.settings import Settings
from aliquot.scheduler.stale_gangs import StaleGangs
from aliquot.scheduler.surroundings import Surroundings
from aliquot.scheduler.telling import Telling
from aliquot.scheduler.timing import Timing
from aliquot.scheduler.together import Together
from aliquot.scheduler.upstream_status import UpstreamStatuses
from aliquot.scheduler.usage import UsageHistory
from aliquot.scheduler.usual_demand import UsualDemand
from aliquot.scheduler.watched import Watched

COMPONENT = "aliquot-scheduler"
DEFAULT_NAMES = ("default-scheduler", "aliquot")

REVIEW_S = 60.0
_DECISIONS_PER_TURN = 256
_DEFAULTS = Settings()


class Scheduler:
    """Places the pods whose spec.schedulerName is one of `names`.

    Caches that are passed in are shared and run by their owner; those left out are its own. So is `recorder`. With
    an `election` it follows from the start and decides while it leads. `value_tables`: the shipped ones, unless others are
    given. `policies`: those that the settings' placement starts with, unless others are given. `run` may be called once.
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
        settings: Settings = _DEFAULTS,
        policies: Policies | None = None,
        value_tables: Sequence[ValueTable] | None = None,
        flight_recorder: FlightRecorder | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._election = election
        self._flight_recorder = flight_recorder
        watched = self._watched = Watched(
            client, pods=pods, nodes=nodes, gpu_nodes=gpu_nodes, gpu_classes=gpu_classes
        )
        self.pods, self._nodes, self._gpu_nodes = watched.pods, watched.nodes, watched.gpu_nodes
        self._recorder = recorder or Recorder(client, COMPONENT)
        self._own_recorder = recorder is None
        self._announcer = Announcer(self._recorder, settings.events)

        self.snapshot = Snapshot()
        policies = policies or starting(settings.placement)
        if settings.ageing_s is not None:
            policies = replace(policies, order=Line(settings.ageing_s))
        half_life_s = settings.usage_half_life_s
        history = History(half_life_s) if half_life_s is not None else None
        self.pending = Pending(policies.order, Accounts(history=history))
        valuation = Valuation(value_tables)
        self.rankings = Rankings(policies, valuation)
        self._asking = Asking(
            valuation,
            pods=self.pods,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=watched.gpu_classes,
            changed=self.rankings.clear,
        )
        learns = settings.placement is Placement.WORTH
        self._usual = UsualDemand(self.snapshot, policies, pods=self.pods) if learns else None
        self._landings = Landings()
        self._consolidation = settings.consolidation
        self._wake = asyncio.Event()
        self._waits_for = "pods"
        may_write = election.is_leader if election is not None else lambda: True
        self._reporter = Reporter(
            client, clock=clock, rng=rng, pods=self.pods, recorder=self._recorder, may_write=may_write
        )
        self._telling = Telling(
            snapshot=self.snapshot,
            pending=self.pending,
            pods=self.pods,
            reporter=self._reporter,
            recorder=self._recorder,
            why=self.why,
        )
        self.groups = Groups(client, rng=rng, pods=self.pods)
        self.dividing = Dividing(client, accounts=self.pending.accounts, changed=self._wake.set)
        self._usage = UsageHistory(
            clock=clock, pods=self.pods, queues=self.dividing.queues, accounts=self.pending.accounts
        )
        self._surroundings = Surroundings(client, self.pods)
        self._timing = Timing(clock=clock, style=settings.backfill)
        self._mirror = Mirror(
            self.snapshot,
            self.pending,
            self._landings,
            names=names,
            pods=self.pods,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=watched.gpu_classes,
            surroundings=self._surroundings,
            callbacks=Callbacks(
                member=self.groups.membership,
                leaving=self._is_leaving,
                changed=self._wake.set,
                facts_changed=self._facts_changed,
                placed=self._has_node,
                released=lambda key: self._timing.gone(key, succeeded=False),
                gated=self._telling.gated,
                gone=self._forget,
                reserved=self._go_on,
                unreserved=self._unreserved,
            ),
        )
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
            pods=self.pods,
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
        self._sequels = Sequels(client, rng=rng, pods=self.pods, met=self.groups.met, may_write=may_write)
        self._runtime_limits = RuntimeLimits(client, rng=rng, pods=self.pods, may_write=may_write)
        self._guarding = Guarding(
            client,
            pods=self.pods,
            why_kept=self._departing.why_kept,
            anew=self._mirror.anew,
            owner_of=self.groups.owner,
            is_known=lambda pod: self.groups.membership(pod) is not None,
        )
        self._checkpoints = Checkpoints(clock=clock, pods=self.pods, recorder=self._recorder)
        self._stale_gangs = StaleGangs(
            clock=clock,
            pods=self.pods,
            groups=self.groups,
            pending=self.pending,
            recorder=self._recorder,
        )
        self._queue_statuses = QueueStatuses(
            client,
            clock=clock,
            rng=rng,
            dividing=self.dividing,
            pending=self.pending,
            usage=self._usage,
            may_write=may_write,
        )
        self._group_statuses = GroupStatuses(
            client,
            clock=clock,
            rng=rng,
            pods=self.pods,
            groups=self.groups.pod_groups,
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
            pods=self.pods,
            groups=self.groups,
            pending=self.pending,
            explained=self._telling.explained,
            may_write=may_write,
        )
        self._telling.subscribe(self._group_statuses.pod_told)
        self._telling.subscribe(self._upstream_statuses.pod_told)
        self._stale_gangs.subscribe(self._group_statuses.look)

    async def run(self, once_known: Callable[[], None] = lambda: None) -> None:
        """Until cancelled. `once_known` is called when it has learned what the cluster has."""
        election = self._election

        async def decide() -> None:
            once_known()
            await (self._lead() if election is None else election.run(self._lead))

        await self.follow(decide)

    async def follow(self, then: Callable[[], Awaitable[None]]) -> None:
        """Learn what the cluster has, and keep up with it while `then` runs. By itself this writes nothing."""
        async with asyncio.TaskGroup() as tasks:
            following = [
                tasks.create_task(self._watched.run(), name="watched"),
                tasks.create_task(self._surroundings.run(), name="surroundings"),
                tasks.create_task(self.groups.run(), name="groups"),
                tasks.create_task(self.dividing.run(), name="queues"),
                tasks.create_task(self._guarding.run(), name="guards"),
            ]
            if self._own_recorder:
                following.append(tasks.create_task(self._recorder.run(), name="event recorder"))
            for what, known in (
                ("pods", self.pods.synced),
                ("nodes", self._nodes.synced),
                ("GPUNodes", lambda: self._watched.gpu_nodes_known(self._rng)),
                ("Queues and Topologies", self.dividing.synced),
            ):
                self._waits_for = what
                await known()
            stops = (
                self._asking.follow(),
                self._usual.follow() if self._usual is not None else lambda: None,
                self.dividing.follow(),
                self._usage.follow(),
                self.groups.subscribe(self._mirror.members_changed),
                self.groups.subscribe(self._sequels.look),
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
        self.dividing.settle()
        self._usage.tell_time()
        return Case(
            self.snapshot,
            self.pending,
            self.rankings,
            self.dividing.topologies,
            limit=limit,
            backfill=self._timing.backfill,
            guards=self._guarding.now() if makes_room else None,
            landings=self._landings if self._consolidation else None,
            staleness=self._stale_gangs.staleness if steady_s is not None else None,
            now_s=self._clock.now(),
            steady_s=steady_s or 0.0,
        )

    def recall_usage(self) -> None:
        """What queues and users had is as it is written, from now on."""
        self.dividing.settle()
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
        pace = Pace(loop.time())
        self._review()
        review_at = loop.time() + REVIEW_S
        while True:
            self._wake.clear()
            began = loop.time()
            makes_room = pace.makes_room(began)
            outcome = self.decide(_DECISIONS_PER_TURN, makes_room=makes_room, steady_s=began)
            ended = loop.time()
            self.counts.cycles.add(ended - began)
            pace.passed(outcome, made_room=makes_room, began=began, ended=ended)
            self._submit(outcome.decisions)
            look_again_at = self._tell(outcome, began)
            if outcome.more:
                await asyncio.sleep(0)
                continue
            look_again_at = min(
                look_again_at,
                self._telling.all_blocked(outcome.blocked, loop.time),
                pace.look_again_at(
                    outcome,
                    made_room=makes_room,
                    has_fallen=bool(self.pending.below) or self._stale_gangs.any_told,
                    clock_s=self._clock.now(),
                    now=loop.time(),
                ),
            )
            try:
                async with asyncio.timeout_at(min(review_at, look_again_at)):
                    await self._wake.wait()
            except TimeoutError:
                if loop.time() >= review_at:
                    self._review()
                    review_at = loop.time() + REVIEW_S

    def _submit(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            for bind in decision.binds:
                self._telling.ignored_assignment(bind.pod.key)
                self._reporter.forget(bind.pod.key)
            self._departing.submit(decision)

    def _tell(self, outcome: Outcome, began: float) -> float:
        """Those whom it concerns. Returns when there is more to tell."""
        self._telling.promises(outcome.promises)
        again_at = self._telling.blocked(outcome.blocked, asyncio.get_running_loop().time())
        if outcome.fallen is not None:
            again_at = min(again_at, self._stale_gangs.tell(outcome.fallen, began))
        self._queue_statuses.look()
        return again_at

    def _review(self) -> None:
        """Judge all nodes anew, by what pods usually ask for by now, and queues by what they have had."""
        self._usage.look()
        policies = self._usual.look() if self._usual is not None else None
        if policies is not None:
            self.rankings.use(policies)
        else:
            self.rankings.clear()

    def why(self, blocked: Blocked) -> Explanation:
        return cycle.why(self.snapshot, self.pending, blocked, self.rankings, self.dividing.topologies)

    def _go_on(self, pod: PodRequest, placed: PlacedPod, job: str) -> None:
        """With what another leader began, or this one before it was restarted."""
        self._together.begun(job, pod.key)
        self._preparing.submit(pod, placed, written=True)

    def _facts_changed(self, name: str, facts: NodeFacts | None) -> None:
        if self.dividing.node_changed(name, facts):
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
        pod = self.pods.get(name)
        if pod is None or pod.status.has_ended:
            self._timing.gone(name, succeeded=pod is not None and pod.status.phase == "Succeeded")
            self._runtime_limits.gone(name)
            self._departing.gone(name)
        else:
            self._departing.withdrawn(name)
        self._together.refused(name, self._preparing)
