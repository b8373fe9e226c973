"""Placement by worth, through the core as it runs."""

from collections.abc import Callable
from random import Random

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.core.keeping_worth import by_worth
from aliquot.scheduler.core.mix import Unit
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.placement import Placement
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.worth import Worth
from aliquot.scheduler.simulation.production import play_core
from aliquot.scheduler.simulation.protocol import draw
from aliquot.scheduler.simulation.suite import allocation_percent
from aliquot.scheduler.simulation.trace import Node, Pod
from aliquot.scheduler.testing import GPU, by_usual, mig, node, pod

SIZES = (140, 330, 470, 530, 670, 860)
NODES = [
    Node(f"n{number}", cpu_milli, 512 * 1024, 8, "A")
    for number, cpu_milli in enumerate((128_000, 40_000) * 3)
]
"""With much CPU and with little."""
PODS = [
    *(
        Pod(f"part{size}-{cpu_milli}-{number}", Task(cpu_milli, size, 1), 8_000)
        for size in SIZES
        for cpu_milli in (2_000, 12_000)
        for number in range(5)
    ),
    *(Pod(f"whole{number}", Task(8_000, 1000, 1), 32_000) for number in range(8)),
    *(Pod(f"many{number}", Task(16_000, 1000, 4), 128_000) for number in range(2)),
    *(Pod(f"cpu{number}", Task(6_000), 16_000) for number in range(10)),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_more_of_the_gpus_is_allocated_than_by_packing(seed: int) -> None:
    arrivals = draw(NODES, PODS, Random(seed))
    by = {placement: play_core(arrivals, placement, lambda: 0.0) for placement in Placement}
    allocated = {placement: allocation_percent(outcome, 130) for placement, outcome in by.items()}
    assert allocated[Placement.WORTH] > allocated[Placement.PACK] + 2
    assert allocated[Placement.WORTH] > allocated[Placement.SPREAD] + 2


def one_gpu(number: int) -> PodRequest:
    """Of different needs of CPU."""
    return pod(f"p{number:02}", gpu=1, cpu=(4, 8, 12, 16)[number % 4], memory_gib=32, created_s=number)


def small_slice(number: int) -> PodRequest:
    return pod(f"p{number:02}", wants={mig("1g.10gb"): 1}, cpu=1, memory_gib=8, created_s=number)


@pytest.mark.parametrize(
    ("layout", "make", "pods", "begun"),
    [
        ("whole", one_gpu, 32, 4),
        (" ".join(f"1g.10gb@{start}" for start in range(7)), small_slice, 56, 1),
        (" ".join(f"1g.10gb@{start}" for start in range(7)), small_slice, 57, 2),
    ],
)
def test_idle_nodes_are_begun_last(
    layout: str, make: Callable[[int], PodRequest], pods: int, begun: int
) -> None:
    nodes = [node(f"n{number}", *[layout] * 8, cpu=96, memory_gib=768) for number in range(8)]
    waiting = [make(number) for number in range(pods)]
    assert len(set(placed(nodes, waiting, by_usual(waiting, nodes)).values())) == begun


def placed(nodes: list[NodeFacts], waiting: list[PodRequest], policies: Policies) -> dict[str, str]:
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in nodes:
        snapshot.set_facts(facts)
    for request in waiting:
        pending.put(request)
    return {bind.pod.key: bind.placed.node for bind in cycle.run(snapshot, pending, rankings).binds}


def test_other_policies_take_effect_at_once() -> None:
    nodes = [node("a", gpus=8, cpu=128), node("b", gpus=8, cpu=32)]
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in nodes:
        snapshot.set_facts(facts)
    for name in ("p", "q"):
        pending.put(pod(name, gpu=1, cpu=1))
        (bind,) = cycle.run(snapshot, pending, rankings).binds
        assert bind.placed.node == {"p": "a", "q": "b"}[name]
        worth = Worth({Task(8_000, 1000, 1): 1}, {"": 16}, 8)
        rankings.use(by_worth(policies, worth, {GPU: Unit(1000)}))


def test_a_node_or_resource_that_worth_was_not_told_of_is_no_obstacle() -> None:
    policies = by_worth(Policies(), Worth({Task(8_000, 1000, 1): 1}, {"A": 8}, 8), {})
    nodes = [
        node("a", gpus=16, labels={"nvidia.com/gpu.product": "B"}),
        node("b", offers={mig("1g.10gb"): 7}),
    ]
    waiting = [pod("p", gpu=12), pod("q", wants={mig("1g.10gb"): 1})]
    assert placed(nodes, waiting, policies) == {"default/p": "a", "default/q": "b"}
