import pytest

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.simulation.engine import Outcome
from aliquot.scheduler.simulation.suite import Result, Run, allocation_percent, play_suite
from aliquot.scheduler.simulation.trace import Node, Pod


def test_allocation_is_the_mean_of_the_pods_that_bring_the_load_there() -> None:
    arrived = [98_400, 99_500, 100_000, 100_499, 100_500, 130_000]
    allocated = [90_000, 91_000, 92_000, 93_000, 94_000, 95_000]
    outcome = Outcome(100_000, arrived, allocated)
    # 99.5 is rounded to the even 100, and 100.5 too.
    assert allocation_percent(outcome, 100) == pytest.approx((91 + 92 + 93 + 94) / 4)
    assert allocation_percent(outcome, 130) == 95
    assert allocation_percent(outcome, 99) == 90


def test_without_a_pod_at_that_load_the_last_before_counts() -> None:
    assert allocation_percent(Outcome(8000, [7000, 9000], [7000, 7500]), 100) == pytest.approx(87.5)
    assert allocation_percent(Outcome(8000, [9000], [0]), 100) == 0
    assert allocation_percent(Outcome(0, [0], [0]), 100) == 0


def test_means_deviations_and_paired_differences() -> None:
    result = Result(
        [
            *(Run("a", seed, (value, 99.0), 5, 100.0) for seed, value in enumerate((95.0, 96.0, 97.0))),
            *(Run("b", seed, (value, 98.0), 7, 300.0) for seed, value in enumerate((94.0, 95.5, 96.0))),
        ]
    )
    assert result.policies == ("a", "b")
    assert result.mean("a", 100) == 96 and result.deviation("a", 100) == 1
    assert result.difference("a", 130).mean == 0
    found = result.difference("b", 100)
    assert found.mean == pytest.approx(-2.5 / 3)
    # Of -1, -0.5, -1: the deviation is 0.2887, Student's quantile for 2 degrees of freedom 4.303.
    assert found.half_width == pytest.approx(4.303 * 0.288675 / 3**0.5, rel=1e-3)
    assert result.turned_away("b") == 7 and result.decisions_per_s("b") == 300


def test_policies_meet_the_same_pods_whatever_stands_beside_them() -> None:
    nodes = [Node(f"n{number}", 64_000, 1024, 4, "A") for number in range(10)]
    pods = [Pod(f"p{number:02}", Task(1000, 110 + 30 * (number % 17), 1), 1) for number in range(60)]
    ticks = iter(range(100))

    def timer() -> float:
        return float(next(ticks))

    both = play_suite(nodes, pods, ["fgd", "random"], [42, 43], spread=map, timer=timer)
    alone = play_suite(nodes, pods, ["random"], [42, 43], spread=map, timer=timer)
    assert [run.seed for run in both.runs] == [42, 42, 43, 43]
    assert both.allocation("random", 130) == alone.allocation("random", 130)
    assert both.deviation("fgd", 130) is not None
    assert play_suite(nodes, pods, ["fgd"], [42], spread=map, timer=timer).deviation("fgd", 130) is None


def test_what_is_in_pieces_is_told_by_load() -> None:
    nodes = [Node(f"n{number}", 64_000, 1024, 2, "A") for number in range(5)]
    # Of each GPU 0.4 is left: of no use to anybody.
    pods = [Pod(f"p{number}", Task(1000, 600, 1), 1) for number in range(10)]
    result = play_suite(nodes, pods, ["bestfit"], [42], spread=map, timer=lambda: 0.0)
    curve = result.curve("bestfit")
    assert [point.arrived for point in curve] == [*range(10, 121, 10)]
    assert [round(point.fragmented) for point in curve if point.arrived in (60, 120)] == [40, 40]
    assert result.fragmentation("bestfit", 130) == pytest.approx(40)
    assert result.fragmentation("bestfit", 9) is None
    assert [(point.arrived, round(point.allocated)) for point in curve if point.arrived == 30] == [(30, 30)]


def test_a_cluster_without_gpus_has_none_in_pieces() -> None:
    nodes = [Node("n", 64_000, 1024, 0, "")]
    pods = [Pod("p", Task(1000, 600, 1), 1), Pod("q", Task(1000), 1)]
    result = play_suite(nodes, pods, ["fgd"], [42], spread=map, timer=lambda: 0.0)
    assert result.curve("fgd") == [] and result.fragmentation("fgd", 100) is None
