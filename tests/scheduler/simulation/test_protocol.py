from random import Random

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.simulation.protocol import draw
from aliquot.scheduler.simulation.trace import Node, Pod

NODES = [Node(f"n{number}", 64_000, 1024, 4, "A") for number in range(25)]
PODS = [Pod(f"p{number:02}", Task(1000, 500, 1), 1) for number in range(60)]
CPU = [Pod(f"c{number:02}", Task(1000), 1) for number in range(10)]


def test_every_pod_once_then_drawn_ones_up_to_the_load() -> None:
    arrivals = draw(NODES, PODS + CPU, Random(1))
    assert sorted(pod.name for pod in arrivals.pods[:70]) == sorted(pod.name for pod in PODS + CPU)
    asked = sum(pod.task.total_gpu_milli for pod in arrivals.pods)
    assert asked == 130_000
    assert {pod.name[0] for pod in arrivals.pods[70:]} == {"p", "c"}
    assert arrivals.demand == {Task(1000, 500, 1): 60, Task(1000): 10}


def test_what_is_too_much_is_left_out() -> None:
    arrivals = draw(NODES[:2], PODS, Random(1))
    assert sum(pod.task.total_gpu_milli for pod in arrivals.pods) == 10_000
    assert len({pod.name for pod in arrivals.pods}) == 20
    assert sum(arrivals.demand.values()) == 60


def test_a_seed_repeats_whatever_the_order_of_the_files() -> None:
    first = draw(NODES, PODS, Random(7))
    assert [node.name for node in first.nodes] != [node.name for node in NODES]
    again = draw(NODES[::-1], PODS, Random(7))
    assert (first.nodes, first.pods) == (again.nodes, again.pods)
    other = draw(NODES, PODS, Random(8))
    assert (first.nodes, first.pods) != (other.nodes, other.pods)


def test_pods_without_gpus_alone_come_once() -> None:
    assert len(draw(NODES, CPU, Random(1)).pods) == 10
