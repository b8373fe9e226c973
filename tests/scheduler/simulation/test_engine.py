"""Small clusters on which it can be told by hand where a pod goes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.simulation.engine import Outcome, run
from aliquot.scheduler.simulation.policies import POLICIES
from aliquot.scheduler.simulation.protocol import Arrivals
from aliquot.scheduler.simulation.trace import Node, Pod

HALF = Task(1000, 500, 1)
MOST = Task(1000, 810, 1)
WHOLE = Task(1000, 1000, 1)
FOUR = Task(4000, 1000, 4)
CPU = Task(1000)


def play(
    policy: str, nodes: Sequence[Node], tasks: Sequence[Task], demand: Mapping[Task, int] | None = None
) -> Outcome:
    pods = [Pod(f"p{number}", task, 1) for number, task in enumerate(tasks)]
    arrivals = Arrivals(nodes, pods, demand or Counter(tasks))
    ticks = iter(range(2))
    return run(arrivals, POLICIES[policy], Random(1), lambda: float(next(ticks)))


def node(name: str, gpus: int = 1, cpu: int = 64, model: str = "A") -> Node:
    return Node(name, cpu * 1000, 1000, gpus, model)


@pytest.mark.parametrize(
    ("policy", "nodes", "tasks", "rows"),
    [
        # Equal nodes: the first in the order of the cluster. Then 53 for the one in use, 46 for the free one:
        ("fgd", [node("a"), node("b")], [HALF, HALF], [0, 0]),
        # Nothing changes for the pods that come: 50 for both.
        ("fgd", [node("a"), node("b")], [CPU, WHOLE, WHOLE, WHOLE], [0, 0, 1, -1]),
        ("bestfit", [node("a", cpu=64), node("b", cpu=32)], [HALF, HALF, HALF], [1, 1, 0]),
        ("packing", [node("a", 4), node("b", 2), node("c", 2)], [HALF, WHOLE, HALF, WHOLE], [1, 1, 1, 2]),
        ("clustering", [node("a", 2), node("b", 2)], [HALF, WHOLE, HALF, WHOLE, WHOLE], [0, 1, 0, 1, 0]),
        ("dotprod", [node("a", 4), node("b", 1)], [WHOLE, WHOLE], [1, 0]),
        # Of five free GPUs one is over beside a pod of four; who takes it spoils nothing.
        ("aliquot", [node("a", 4), node("b", 5), node("c", 4)], [WHOLE, FOUR, FOUR, FOUR], [1, 1, 0, 2]),
        # A pod without GPUs goes where CPU is left over.
        ("aliquot", [node("a", 1, cpu=1), node("b", 1, cpu=9)], [CPU, WHOLE, WHOLE], [1, 0, 1]),
    ],
)
def test_where_pods_go(
    policy: str, nodes: Sequence[Node], tasks: Sequence[Task], rows: Sequence[int]
) -> None:
    assert play(policy, nodes, tasks).rows == rows


def test_aliquot_keeps_a_half_for_a_half() -> None:
    """0.3 fits beside 0.5, but then nothing that comes fills the GPU."""
    third = Task(1000, 300, 1)
    demand = {HALF: 10, third: 10, Task(1000, 700, 1): 10}
    nodes = [node("a"), node("b"), node("c")]
    assert play("aliquot", nodes, [HALF, third, HALF, Task(1000, 700, 1)], demand).rows == [0, 1, 0, 1]


def test_what_does_not_fit_is_turned_away_and_counted_as_arrived() -> None:
    named = Task(1000, 1000, 1, frozenset({"B"}))
    tasks = [named, WHOLE, WHOLE, Task(65_000), named]
    outcome = play("fgd", [node("a"), node("b", model="B")], tasks)
    assert outcome.rows == [1, 0, -1, -1, -1]
    assert outcome.total_gpu_milli == 2000
    assert outcome.arrived_gpu_milli == [1000, 2000, 3000, 3000, 4000]
    assert outcome.allocated_gpu_milli == [1000, 2000, 2000, 2000, 2000]
    assert outcome.took_s == 1


def test_memory_only_says_whether_it_fits() -> None:
    pods = [Pod("p", HALF, 700), Pod("q", HALF, 700), Pod("r", HALF, 300)]
    arrivals = Arrivals([node("a"), node("b")], pods, Counter(pod.task for pod in pods))
    assert run(arrivals, POLICIES["fgd"], Random(1), lambda: 0.0).rows == [0, 1, 0]


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_gets_what_is_not_there(policy: str) -> None:
    rng = Random(policy)
    tasks = [
        *(Task(rng.randrange(0, 20_000, 1000), rng.randrange(50, 1001, 50), 1) for _ in range(300)),
        *(Task(8000, 1000, rng.choice((2, 4, 8))) for _ in range(20)),
        *(Task(rng.randrange(0, 30_000, 1000)) for _ in range(30)),
        *(Task(1000, 500, 1, frozenset({"B"})) for _ in range(30)),
    ]
    rng.shuffle(tasks)
    nodes = [node(f"n{number}", rng.choice((0, 1, 2, 8)), 64, rng.choice("AB")) for number in range(30)]
    outcome = play(policy, nodes, tasks)
    for row, where in enumerate(nodes):
        placed = [task for task, at in zip(tasks, outcome.rows, strict=True) if at == row]
        assert sum(task.cpu_milli for task in placed) <= where.cpu_milli
        assert sum(task.total_gpu_milli for task in placed) <= 1000 * where.gpus
        assert all(task.runs_on(where.model) for task in placed)
    placed = [task for task, at in zip(tasks, outcome.rows, strict=True) if at >= 0]
    assert outcome.allocated_gpu_milli[-1] == sum(task.total_gpu_milli for task in placed)
    assert 0 < len(placed) < len(tasks)
    assert play(policy, nodes, tasks).rows == outcome.rows
