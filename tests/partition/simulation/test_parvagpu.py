"""The published scenarios, their published results, and the optimum."""

import pytest

from aliquot.partition.simulation.parvagpu import Scenario, Service, best_way, fewest_gpus, scenarios


@pytest.mark.parametrize(
    ("name", "published", "optimum"),
    [("S1", 2, 2), ("S2", 3, 3), ("S3", 5, 5), ("S4", 7, 7), ("S5", 13, 12), ("S6", 16, 15)],
)
def test_the_optimum_of_a_scenario_is_proven(name: str, published: int, optimum: int) -> None:
    [scenario] = [one for one in scenarios() if one.name == name]
    assert scenario.published_gpus == published
    assert fewest_gpus(scenario) == (optimum, True)


def test_no_number_is_known_where_time_was_up_before_the_first_solution() -> None:
    assert fewest_gpus(scenarios()[-1], within_s=0) == (None, False)


def test_throughput_is_of_all_processes_of_an_instance() -> None:
    # Of the published table, for a 1g and a batch of 16: 68.158 for one of two processes, 49.565 for one of three.
    way = best_way("bert", 1, latency_ms=400 / 0.45)
    assert way is not None
    assert (way.batch, way.processes, way.requests_per_s) == (16, 3, 148.695)


def test_a_way_to_run_is_fast_enough_in_less_than_045_of_the_objective() -> None:
    found = best_way("bert", 1, latency_ms=100)
    assert found is not None and found.latency_ms < 45
    assert best_way("bert", 1, latency_ms=10) is None


def test_a_small_service_takes_one_gpu() -> None:
    assert fewest_gpus(Scenario("one", 1, {"bert": Service(10, 1000)})) == (1, True)
