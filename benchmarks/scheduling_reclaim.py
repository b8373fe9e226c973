"""A queue takes back what it lent: 2,000 GPUs at once, of a cluster that a borrower has filled.

The whole decision is timed: who is evicted, and where each pod of the gang goes. No API server.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import Amounts, DeviceChoice, PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.terms import GPU as IN_BOOKS
from aliquot.scheduler.core.queues.terms import QueueSpec, Terms
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import GPU, gpu_uuid
from benchmarks.scheduling_worlds import GPUS, cluster, name_of, request, shape

NODES = 500
WANTED = 2_000
KAI_S = 102.0
"""KAI's published time for 2,000 GPUs at 500 nodes of 8, with the API server in it."""
NOW_S = 1_000_000.0


@dataclass(frozen=True)
class Case:
    name: str
    victim: int
    """Pods of each job that is there."""
    pods: int
    """Of the gang that wants its room."""
    scattered: bool = False
    """Pods of one job that is there are on nodes far from each other."""

    @property
    def gpus(self) -> int:
        return WANTED // self.pods


CASES = (
    Case("jobs of one GPU", 1, WANTED),
    Case("gangs of 8, a node each", 8, WANTED),
    Case("gangs of 64, 8 nodes each", 64, WANTED),
    Case("gangs of 64, on 64 nodes each", 64, WANTED, scattered=True),
    Case("jobs of one GPU, for 250 whole nodes", 1, WANTED // GPUS),
    Case("gangs of 64, for 250 whole nodes", 64, WANTED // GPUS),
)


def counted(of: PodShape) -> Amounts:
    gpus = of.request.get(GPU, 0)
    return {IN_BOOKS: 1000 * gpus} if gpus else {}


def there(case: Case) -> Iterator[tuple[PodRequest, JobSpec, PlacedPod]]:
    for at in range(NODES * GPUS):
        node, place = (at % NODES, at // NODES) if case.scattered else divmod(at, GPUS)
        one, job = request(at, shape(1, 4, 16), "b"), at // case.victim
        # The last of them may be smaller.
        size = min(case.victim, NODES * GPUS - job * case.victim)
        root = None if case.victim == 1 else Group("", size)
        spec = JobSpec(one.key if root is None else f"default/g{job:04}", root, queue="lent")
        placed = PlacedPod(
            one.key,
            one.uid,
            name_of(node),
            one.shape.request,
            (DeviceChoice("main", GPU, gpu_uuid(name_of(node), place)),),
            admitted=True,
            since_s=NOW_S - 10_000 + job % 997,
        )
        yield one, spec, placed


def decided_s(case: Case) -> tuple[float, int, int]:
    """CPU seconds; how many pods are evicted, of how many jobs."""
    policies = Policies()
    quota = Terms(1000 * WANTED)
    accounts = Accounts(
        (QueueSpec("owner", terms={IN_BOOKS: quota}), QueueSpec("lent", terms={IN_BOOKS: Terms(0)})),
        counted,
    )
    snapshot, pending, rankings = cluster(NODES), Pending(policies.order, accounts), Rankings(policies)
    for name in snapshot.nodes:
        accounts.offer(name, {IN_BOOKS: 1000 * GPUS})
    job_of = {}
    for one, spec, placed in there(case):
        snapshot.set_pod(placed)
        pending.hold(one, spec)
        job_of[one.key] = spec.key
    gang = JobSpec("default/gang", Group("", case.pods), queue="owner", created_s=NOW_S)
    for number in range(case.pods):
        pending.put(request(number, shape(case.gpus, 4 * case.gpus, 16), "w"), gang)
    began = time.process_time()
    outcome = cycle.run(snapshot, pending, rankings, guards=Guards(), now_s=NOW_S)
    took_s = time.process_time() - began
    (decision,) = outcome.decisions
    assert len(decision.binds) == case.pods, f"{case.name}: {len(decision.binds)} are placed"
    assert 0 <= len(decision.after) - WANTED < case.victim, f"{case.name}: {len(decision.after)} are evicted"
    return took_s, len(decision.after), len({job_of[pod.key] for pod in decision.after})


def reclaims(short: bool) -> None:
    print(f"{WANTED:,} GPUs taken back at once, {NODES} full nodes of {GPUS}; CPU s (lower is better)")
    print(f"  {'who has to go':<45}{'pods':>9}{'jobs':>9}{'decided':>12}{'ratio':>8}")
    for case in CASES:
        took_s, pods, jobs = min(decided_s(case) for _ in range(1 if short else 3))
        print(
            f"  {case.name:<45}{pods:>9,}{jobs:>9,}{took_s:>12.2f}{KAI_S / took_s:>7,.0f}x",
            flush=True,
        )
    print(f"  ratio: to the {KAI_S:g} s of KAI's own published run, which has an API server in it")
