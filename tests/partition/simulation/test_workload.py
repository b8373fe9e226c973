"""What a seed draws: at the load asked for, the same each time, and alike across what it is compared with."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import fmean, median, quantiles

import pytest

from aliquot.partition.simulation.workload import (
    MIXES,
    Drift,
    Durations,
    Mix,
    Outages,
    Trace,
    UnfitMix,
    Workload,
    draw,
    draw_outages,
)
from tests.partition.simulation.boards import states

H100 = states("h100-80gb")
UNIFORM = Workload(MIXES["uniform"], load=0.85, gpus=100)


def offered(trace: Trace, gpus: int) -> float:
    """The load that it came to."""
    work = sum(
        H100.profiles[profile].memory_slots * duration
        for profile, duration in zip(trace.profiles, trace.durations, strict=True)
    )
    return work / (gpus * H100.memory_slots * trace.horizon)


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("durations", [Durations.EXPONENTIAL, Durations.CONSTANT])
def test_the_load_is_the_one_asked_for(mix: Mix, durations: Durations) -> None:
    workload = replace(UNIFORM, mix=mix, gpus=400, durations=durations)
    assert offered(draw(H100, workload, Random(1)), 400) == pytest.approx(0.85, rel=0.02)


def test_shares_of_the_profiles() -> None:
    mix = MIXES["skew-small"]
    found = Counter(draw(H100, replace(UNIFORM, mix=mix, gpus=400), Random(1)).profiles)
    for profile, share in enumerate(mix.shares):
        assert found[profile] / found.total() == pytest.approx(share, abs=0.01)


def test_heavy_tails_are_as_spread_as_they_say() -> None:
    workload = replace(UNIFORM, gpus=1000, durations=Durations.HEAVY_TAILED)
    lengths = list(draw(H100, workload, Random(1)).durations)
    assert quantiles(lengths, n=10)[8] / median(lengths) == pytest.approx(11, rel=0.05)
    assert fmean(lengths) == pytest.approx(1, rel=0.1)


def test_a_seed_repeats_and_another_does_not() -> None:
    first, again, other = (draw(H100, UNIFORM, Random(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_mixes_share_their_arrivals_durations_and_load() -> None:
    """Common random numbers: the n-th request stays as long under every load."""
    low, high = (draw(H100, replace(UNIFORM, load=load), Random(5)) for load in (0.7, 1.1))
    assert low.durations[:1000] == high.durations[:1000]
    assert low.profiles[:1000] == high.profiles[:1000]
    assert low.times[999] * 0.7 == pytest.approx(high.times[999] * 1.1)


def test_drift_changes_the_mix_and_keeps_the_load() -> None:
    workload = replace(UNIFORM, gpus=400, drift=Drift(MIXES["bimodal"], at=30.0))
    trace = draw(H100, workload, Random(1))
    after = Counter(p for time, p in zip(trace.times, trace.profiles, strict=True) if time >= 30)
    assert after[5] / after.total() == pytest.approx(0.4, abs=0.01)
    assert list(trace.times) == sorted(trace.times)
    assert offered(trace, 400) == pytest.approx(0.85, rel=0.02)


def test_a_mix_of_other_profiles_is_refused() -> None:
    with pytest.raises(UnfitMix, match="mix uniform is of 6 profiles, the board has 3"):
        draw(states("a30-24gb"), UNIFORM, Random(1))


def test_outages_take_whole_nodes_and_never_overlap() -> None:
    outages = draw_outages(
        Outages(mean_time_between=10, time_to_repair=3), replace(UNIFORM, gpus=20), Random(3)
    )
    assert {outage.gpus for outage in outages} == {range(8), range(8, 16), range(16, 20)}
    for node in (range(8), range(8, 16), range(16, 20)):
        of_node = [outage for outage in outages if outage.gpus == node]
        assert all(a.end <= b.start for a, b in pairwise(of_node))
