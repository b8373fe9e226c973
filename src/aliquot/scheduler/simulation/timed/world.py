"""The jobs of a trace on nodes that are alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PODS, Amounts, ContainerKind, ContainerRequest, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import Line
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.simulation.timed.gauges import READINGS, Gauges
from aliquot.scheduler.simulation.timed.virtual_cluster import (
    Fate,
    Member,
    Played,
    VirtualCluster,
    VirtualJob,
)
from aliquot.scheduler.simulation.timed.workload import TracedJob

DEVICE = "nvidia.com/gpu"
_MOST_PODS = 110
"""Of a node: kubelet's default."""


@dataclass(frozen=True, slots=True)
class Setting:
    nodes: int
    gpus_per_node: int = 8
    backfill: Style | None = None
    queues: Sequence[QueueSpec] = ()
    """None: jobs stand in one line, whatever queue the trace has for them."""
    stops_overdue: bool = False
    """Jobs are stopped once they have run for as long as was estimated."""
    evicts: bool = False
    """Whether jobs are evicted for others, as queues and priorities have it."""
    usage_half_life_s: float | None = None
    """Of what queues and users had; None: only what they hold counts."""
    ageing_s: float | None = None
    """A job that has waited so much longer is level with one whose priority is higher by one; None: none is ever."""

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node


def play(jobs: Iterable[TracedJob], setting: Setting, timer: Callable[[], float]) -> Played:
    """From the first submission until nothing runs and nothing that waits can start. `timer` gives seconds."""
    case = _case(setting)
    played = Played(setting.gpus, setting.gpus_per_node)
    for job in sorted(jobs, key=lambda one: one.submit_s):
        if _fits(job, setting):
            played.fates.append(Fate(_virtual(job, setting)))
        else:
            played.too_large += 1
    if played.fates:
        played.began_s, played.until_s = (played.fates[end].job.submit_s for end in (0, -1))
    asked = [pod.shape for fate in played.fates for pod, _ in fate.job.members]
    every_s = (played.until_s - played.began_s) / READINGS
    gauges = Gauges(case.snapshot, case.pending.accounts, asked, every_s=every_s)
    cluster = VirtualCluster(case, played, gauges=gauges, stops_overdue=setting.stops_overdue)
    began = timer()
    cluster.play(played.fates)
    played.took_s = timer() - began
    return played


def _case(setting: Setting) -> Case:
    policies = Policies()
    history = History(setting.usage_half_life_s) if setting.usage_half_life_s is not None else None
    accounts = Accounts(setting.queues, _counted, history)
    snapshot = Snapshot()
    for number in range(setting.nodes):
        facts = NodeFacts(f"node-{number:05}", allocatable={DEVICE: setting.gpus_per_node, PODS: _MOST_PODS})
        snapshot.set_facts(facts)
        accounts.offer(facts.name, {GPU: 1000 * setting.gpus_per_node})
    return Case(
        snapshot,
        Pending(Line(setting.ageing_s), accounts),
        Rankings(policies),
        backfill=Backfill(setting.backfill) if setting.backfill is not None else None,
        guards=Guards() if setting.evicts else None,
    )


def _fits(job: TracedJob, setting: Setting) -> bool:
    per_node = setting.gpus_per_node
    return job.gpus <= per_node and (not job.gpus or job.pods <= setting.nodes * (per_node // job.gpus))


def _virtual(job: TracedJob, setting: Setting) -> VirtualJob:
    shape = _shape(job.gpus)
    spec = JobSpec(
        job.name,
        Group(minimum=job.pods) if job.pods > 1 else None,
        queue=job.queue if setting.queues else "",
        user=job.user,
        priority=job.priority,
        created_s=job.submit_s,
        max_runtime_s=job.estimate_s,
    )
    names = [job.name] if job.pods == 1 else [f"{job.name}/{number}" for number in range(job.pods)]
    members: tuple[Member, ...] = tuple(
        (PodRequest(name, name, shape, job.priority, job.submit_s), "") for name in names
    )
    return VirtualJob(spec, members, job.submit_s, job.runtime_s, job.total_gpus, job.queue)


@cache
def _shape(gpus: int) -> PodShape:
    request: Amounts = {DEVICE: gpus, PODS: 1} if gpus else {PODS: 1}
    asked: Amounts = {DEVICE: gpus} if gpus else {}
    return PodShape(f"{gpus} GPUs", (ContainerRequest("main", ContainerKind.APP, asked),), request)


def _counted(shape: PodShape) -> Amounts:
    gpus = shape.request.get(DEVICE, 0)
    return {GPU: 1000 * gpus} if gpus else {}
