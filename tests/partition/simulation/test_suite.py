"""Pairing, order, determinism, and what a cell's results come to."""

from dataclasses import replace

import pytest

from aliquot.partition.simulation.contenders import (
    BASELINE,
    CONTENDERS,
    OPTIMUM,
    REFERENCE,
    UnknownContender,
    contender_of,
)
from aliquot.partition.simulation.metrics import Metrics
from aliquot.partition.simulation.suite import (
    Cell,
    Job,
    Result,
    drift_cells,
    failure_cells,
    loss_cells,
    optimum_cells,
    play,
    play_suite,
    queueing_cells,
    scale_cells,
)
from aliquot.partition.simulation.workload import MIXES, Outages, Workload
from tests.partition.simulation.boards import states

PROFILES = states("h100-80gb").profiles
SMALL = Workload(MIXES["uniform"], load=1.0, gpus=16, horizon=12.0, warm_up=2.0)
PLAIN = Cell("plain", SMALL)


def without_times(metrics: Metrics) -> Metrics:
    return replace(metrics, decision_p50_us=0.0, decision_p99_us=0.0)


def test_a_seed_repeats_to_the_last_figure() -> None:
    job = Job(PROFILES, PLAIN, tuple(CONTENDERS), seed=3)
    assert play(job) == play(job)
    assert play(job)[BASELINE] != play(replace(job, seed=4))[BASELINE]


def test_a_contender_meets_the_same_requests_whoever_plays_beside_it() -> None:
    alone, beside = (
        play(Job(PROFILES, replace(PLAIN, outages=Outages(mean_time_between=20)), names, seed=1))
        for names in (("best-fit",), ("worst-fit", "best-fit"))
    )
    assert alone["best-fit"] == beside["best-fit"]
    assert beside["worst-fit"].requests == beside["best-fit"].requests


@pytest.mark.parametrize("cell", [PLAIN, replace(PLAIN, queueing=True)])
def test_nobody_uses_more_than_there_is_and_nothing_is_admitted_twice(cell: Cell) -> None:
    for name, metrics in play(Job(PROFILES, cell, tuple(CONTENDERS), seed=2)).items():
        assert 0 < metrics.utilisation <= 1, name
        assert 0 < metrics.request_acceptance <= 1, name
        assert metrics.gpus_in_use <= 16


def test_failures_are_counted_and_the_reference_that_has_no_places_is_left_out() -> None:
    cell = replace(PLAIN, outages=Outages(mean_time_between=5, time_to_repair=1))
    found = play(Job(PROFILES, cell, tuple(CONTENDERS), seed=2))
    assert set(found) == set(CONTENDERS) - {REFERENCE}
    assert all(metrics.evictions > 0 for metrics in found.values())


def test_who_knows_what_comes_plays_only_where_nobody_waits_and_nothing_fails() -> None:
    small = replace(PLAIN, workload=replace(SMALL, gpus=2, horizon=3.0, warm_up=0.0))
    names = (BASELINE, OPTIMUM)
    assert set(play(Job(PROFILES, small, names, seed=1))) == set(names)
    for cell in (replace(small, queueing=True), replace(small, outages=Outages())):
        assert set(play(Job(PROFILES, cell, names, seed=1))) == {BASELINE}


def test_results_come_by_cell_and_seed_in_order() -> None:
    cells = [PLAIN, Cell("light", replace(SMALL, load=0.3))]
    played = list(play_suite(PROFILES, cells, [BASELINE, "best-fit"], range(3)))
    assert [result.cell.name for result in played] == ["plain", "light"]
    for result in played:
        for seed, run in enumerate(result.runs):
            assert run == play(Job(PROFILES, result.cell, (BASELINE, "best-fit"), seed))


def test_gains_and_gap_by_hand() -> None:
    metrics = play(Job(PROFILES, PLAIN, (BASELINE,), seed=1))[BASELINE]

    def run(first: float, other: float, free: float) -> dict[str, Metrics]:
        values = {BASELINE: first, "best-fit": other, REFERENCE: free, OPTIMUM: free + 0.1}
        return {name: replace(metrics, slice_acceptance=value) for name, value in values.items()}

    result = Result(PLAIN, [run(0.80, 0.82, 0.90), run(0.70, 0.73, 0.80)])
    assert result.mean(BASELINE, "slice_acceptance").mean == pytest.approx(0.75)
    assert result.gain("best-fit", "slice_acceptance").mean == pytest.approx(0.025)
    assert result.gap_closed("best-fit", "slice_acceptance") == pytest.approx(0.25)
    assert result.gap_closed("best-fit", "slice_acceptance", OPTIMUM) == pytest.approx(0.125)
    assert Result(PLAIN, [{BASELINE: metrics}]).gap_closed(BASELINE, "slice_acceptance") is None


def test_the_first_seed_is_timed() -> None:
    times = iter(range(1_000_000))
    [result] = play_suite(PROFILES, [PLAIN], [BASELINE], range(2), timer=lambda: float(next(times)))
    assert result.values(BASELINE, "decision_p50_us") == [1e6, 0.0]
    assert result.timed(BASELINE, "decision_p50_us") == 1e6


def test_cells_have_names_of_their_own() -> None:
    for cells in (loss_cells, queueing_cells, drift_cells, failure_cells, optimum_cells):
        names = [cell.name for cell in cells(SMALL, (0.85, 1.0))]
        assert len(set(names)) == len(names) > 5
    assert [cell.name for cell in scale_cells((100, 100_000))] == ["100 GPUs", "100,000 GPUs"]


def test_what_comes_after_a_drift_is_counted_and_nothing_else() -> None:
    for cell in drift_cells(SMALL, [1.0]):
        assert cell.workload.drift is not None
        assert cell.workload.drift.at == cell.workload.warm_up
        assert cell.workload.drift.to != cell.workload.mix


def test_the_optimum_is_that_of_all_that_is_counted_on_a_fleet_it_can_be_found_for() -> None:
    for cell in optimum_cells(replace(SMALL, gpus=100), [1.0]):
        assert (cell.workload.gpus, cell.workload.warm_up) == (16, 0.0)


def test_contenders_by_name() -> None:
    assert contender_of(BASELINE) is CONTENDERS[BASELINE]
    assert contender_of(OPTIMUM).name == OPTIMUM
    assert contender_of("moves-0.25%").name == "moves-0.25%"
    for name in ("nope", "moves-x%", "moves--1%", "moves-inf%"):
        with pytest.raises(UnknownContender, match="there are first-fit, hami"):
            contender_of(name)
