from collections.abc import Mapping, Sequence

import pytest

from aliquot.kube.api.gpuclass import resource_of
from aliquot.scheduler.core.facts import MODEL_LABEL, NodeFacts
from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.core.mix import (
    MOST_OF_A_POD,
    MOST_SIZES,
    REMEMBERED,
    Ask,
    Mix,
    Supply,
    Unit,
    ask_of,
    supply_of,
    tasks_of,
    worth_to,
)
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.testing import GPU, mig, node, pod, term, ways

SHARED = "nvidia.com/gpu.shared"
UNITS = {
    GPU: Unit(1000),
    mig("1g.10gb"): Unit(125),
    mig("7g.80gb"): Unit(1000),
    SHARED: Unit(250, of_one_gpu=True),
}


def asked(request: PodRequest) -> Ask:
    found = ask_of(request.shape)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("request_", "tasks"),
    [
        (pod("p", gpu=2, cpu=8, memory_gib=1), {Task(8000, 1000, 2, memory_mib=1024): 1}),
        (pod("p", wants={mig("1g.10gb"): 2}, cpu=8), {Task(4000, 125, 1): 2}),
        (pod("p", wants={mig("7g.80gb"): 1}), {Task(0, 1000, 1): 1}),
        (pod("p", wants={SHARED: 3}), {Task(0, 750, 1): 1}),
        (pod("p", wants={SHARED: 9}), {Task(0, 1000, 2): 1, Task(0, 250, 1): 1}),
        (pod("p", wants={mig("1g.10gb"): 10**12}), {Task(0, 125, 1): MOST_OF_A_POD}),
        # CPU goes with the larger part.
        (
            pod("p", gpu=1, wants={SHARED: 2}, cpu=3),
            {Task(2000, 1000, 1): 1, Task(1000, 500, 1): 1},
        ),
        # No node has it.
        (pod("p", wants={mig("2g.20gb"): 1}), {}),
        (pod("p", wants={mig("2g.20gb"): 1, GPU: 1}), {}),
    ],
)
def test_a_pod_as_tasks(request_: PodRequest, tasks: Mapping[Task, int]) -> None:
    assert tasks_of(asked(request_), UNITS) == tasks


@pytest.mark.parametrize(
    ("request_", "models"),
    [
        (pod("p", gpu=1), set()),
        (pod("p", gpu=1, selector={MODEL_LABEL: "L4", "x": "y"}), {"L4"}),
        (pod("p", gpu=1, required=[term(f"{MODEL_LABEL} in A,B", "x in y")]), {"A", "B"}),
        (pod("p", gpu=1, required=[term(f"{MODEL_LABEL} in A"), term(f"{MODEL_LABEL} in B")]), {"A", "B"}),
        # Where another term will do, so will any model.
        (pod("p", gpu=1, required=[term(f"{MODEL_LABEL} in A"), term("x in y")]), set()),
        (pod("p", gpu=1, required=[term(f"{MODEL_LABEL} notin A")]), set()),
    ],
)
def test_models_that_a_pod_asks_for(request_: PodRequest, models: set[str]) -> None:
    assert asked(request_).models == models


def test_a_pod_without_gpus_does_not_count() -> None:
    assert ask_of(pod("p", cpu=8).shape) is None


@pytest.mark.parametrize(
    ("nodes", "resource", "unit"),
    [
        ([node("a", "whole")], GPU, Unit(1000)),
        ([node("a", gpus=2)], GPU, Unit(1000)),
        # Under one name most are shared.
        ([node("a", "whole"), node("b", "whole*4", "whole*4")], GPU, Unit(250, of_one_gpu=True)),
        ([node("a", "1g.10gb@0 3g.40gb@4")], mig("3g.40gb"), Unit(500)),
        ([node("a", "3g.40gb@0*2 3g.40gb@4*2")], mig("3g.40gb"), Unit(250, of_one_gpu=True)),
        # Not there, but it can be made: by the first way.
        ([node("a", "whole", cut="h100-80gb")], mig("1g.10gb"), Unit(125)),
        (
            [node("a", "whole", cut="h100-80gb", classes={"x": ways("2g.20gb", "1/4 mps")})],
            resource_of("x"),
            Unit(250),
        ),
        (
            [node("a", "whole", cut="h100-80gb", classes={"x": ways("1/8 mps")})],
            resource_of("x"),
            Unit(125, of_one_gpu=True),
        ),
    ],
)
def test_what_one_of_a_resource_is(nodes: Sequence[NodeFacts], resource: str, unit: Unit) -> None:
    assert supply_of(nodes, [resource]).units == {resource: unit}


def test_supply() -> None:
    nodes = [
        node("a", *["whole"] * 8, labels={MODEL_LABEL: "A"}),
        node("b", "1g.10gb@0 3g.40gb@4", labels={MODEL_LABEL: "A"}),
        node("c", gpus=4, labels={MODEL_LABEL: "B"}),
        node("d"),
    ]
    assert supply_of(nodes, ["nowhere"]) == Supply({"A": 9, "B": 4}, 8, {})


def test_counts_are_halved_so_that_the_last_pods_weigh_most() -> None:
    mix = Mix()
    for number in range(2 * REMEMBERED):
        mix.count(asked(pod("p", gpu=1 if number < REMEMBERED else 2)))
    tasks = mix.tasks({GPU: Unit(1000)})
    assert mix.total == sum(tasks.values()) <= REMEMBERED
    assert tasks[Task(0, 1000, 2)] > 2 * tasks[Task(0, 1000, 1)] > 0


def test_pods_that_no_node_could_hold_do_not_count() -> None:
    mix = Mix()
    for gpus in (1, 10_000):
        mix.count(asked(pod("p", gpu=gpus)))
    assert set(worth_to(mix, Supply({"": 16}, 8, {GPU: Unit(1000)})).apart) == {0.0}


def test_of_very_many_sizes_those_that_are_asked_for_most_count() -> None:
    mix = Mix()
    shares = Supply({"": 8}, 8, {SHARED: Unit(1, of_one_gpu=True)})
    for size in range(1, MOST_SIZES + 1):
        for _ in range(2):
            mix.count(asked(pod("p", wants={SHARED: 500 + size}, cpu=1)))
    known = worth_to(mix, shares).of_part
    mix.count(asked(pod("p", wants={SHARED: 400}, cpu=1)))
    assert worth_to(mix, shares).of_part == known
