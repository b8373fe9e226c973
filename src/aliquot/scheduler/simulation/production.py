"""The scheduler's core on a trace: what `aliquot scheduler run` does with the same pods.

GPUs are shared a thousand ways, so that a pod may ask for any part of one; nodes pack shares. Ties go to the node that comes
first. By worth, it has seen the pods before.
"""

from collections.abc import Callable

from aliquot.kube.api.gpunode import Sharing
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.facts import MODEL_LABEL, Devices, DeviceState, NodeFacts
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI
from aliquot.scheduler.core.free_gpus import MIB
from aliquot.scheduler.core.keeping_worth import by_worth
from aliquot.scheduler.core.matching import NodeTerm, Operator, Requirement
from aliquot.scheduler.core.mix import Mix, ask_of, supply_of, worth_to
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.pod import (
    CPU,
    MEMORY,
    PODS,
    ContainerKind,
    ContainerRequest,
    PodRequest,
    PodShape,
    effective_request,
)
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.simulation.engine import Outcome
from aliquot.scheduler.simulation.protocol import Arrivals
from aliquot.scheduler.simulation.trace import Node, Pod

_SHARED = "nvidia.com/gpu.shared"


def play_core(arrivals: Arrivals, placement: Placement, timer: Callable[[], float]) -> Outcome:
    """`timer` gives seconds."""
    snapshot = Snapshot()
    facts = [_facts(number, node) for number, node in enumerate(arrivals.nodes)]
    for one in facts:
        snapshot.set_facts(one)
    requests = [_request(number, pod) for number, pod in enumerate(arrivals.pods)]
    policies = starting(placement)
    if placement is Placement.WORTH:
        policies = _usual(policies, requests, facts)
    pending, rankings = Pending(policies.order), Rankings(policies)
    outcome = Outcome(WHOLE_MILLI * sum(node.gpus for node in arrivals.nodes))
    arrived = allocated = 0
    began = timer()
    for pod, request in zip(arrivals.pods, requests, strict=True):
        pending.put(request)
        binds = cycle.run(snapshot, pending, rankings).binds
        arrived += pod.task.total_gpu_milli
        if binds:
            allocated += pod.task.total_gpu_milli
        else:
            pending.discard(request.key)
        outcome.rows.append(int(binds[0].placed.node) if binds else -1)
        outcome.arrived_gpu_milli.append(arrived)
        outcome.allocated_gpu_milli.append(allocated)
    outcome.took_s = timer() - began
    return outcome


def _usual(policies: Policies, requests: list[PodRequest], facts: list[NodeFacts]) -> Policies:
    mix = Mix()
    for request in requests:
        ask = ask_of(request.shape)
        if ask is not None:
            mix.count(ask)
    supply = supply_of(facts, mix.resources)
    return by_worth(policies, worth_to(mix, supply), supply.units)


def _facts(number: int, node: Node) -> NodeFacts:
    name = f"{number:06}"
    gpus = (
        DeviceState(_SHARED, f"{name}-{gpu}", shares=WHOLE_MILLI, sharing=Sharing.TIME_SLICING)
        for gpu in range(node.gpus)
    )
    return NodeFacts(
        name=name,
        labels={MODEL_LABEL: node.model},
        allocatable={CPU: node.cpu_milli, MEMORY: node.memory_mib * MIB, PODS: 1_000_000},
        devices=Devices(gpus),
        packs_shares=True,
    )


def _request(number: int, pod: Pod) -> PodRequest:
    """A container for each GPU: the shares of one are of one GPU."""
    task = pod.task
    besides = {CPU: task.cpu_milli, MEMORY: pod.memory_mib * MIB}
    containers = tuple(
        ContainerRequest(
            f"c{gpu}",
            ContainerKind.APP,
            {
                resource: amount
                for resource, amount in {_SHARED: task.gpu_milli, **(besides if gpu == 0 else {})}.items()
                if amount
            },
        )
        for gpu in range(max(1, task.gpus))
    )
    models = Requirement(MODEL_LABEL, Operator.IN, tuple(sorted(task.models)))
    shape = PodShape(
        signature=repr((task.cpu_milli, task.gpu_milli, task.gpus, models.values, pod.memory_mib)),
        containers=containers,
        request=effective_request(containers),
        required=(NodeTerm(labels=(models,)),) if task.models else None,
    )
    return PodRequest(f"trace/{number:06}", str(number), shape, created_s=number)
