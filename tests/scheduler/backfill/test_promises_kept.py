"""Small worlds, run to their end by the core: what was promised is kept, and no room that nobody needs stays empty."""

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import Shortfall, place_job
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.simulation.timed.workload import TracedJob
from aliquot.scheduler.simulation.timed.world import Setting, play
from aliquot.scheduler.testing import GPU, node, placed, pod

thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STYLES = st.sampled_from((Style.EASY, Style.CONSERVATIVE))


@st.composite
def jobs(draw: st.DrawFn) -> list[TracedJob]:
    count = draw(st.integers(2, 14))
    found = []
    for number in range(count):
        runtime_s = float(draw(st.integers(1, 12)))
        found.append(
            TracedJob(
                f"j{number}",
                submit_s=float(draw(st.integers(0, 10))),
                runtime_s=runtime_s,
                gpus=draw(st.integers(1, 4)),
                pods=draw(st.sampled_from((1, 1, 1, 2, 3))),
                estimate_s=runtime_s,
                priority=draw(st.sampled_from((0, 0, 0, 1))),
            )
        )
    return found


@given(jobs(), STYLES, st.integers(1, 3))
@thorough
def test_with_exact_run_times_nobody_starts_later_than_promised(
    traced: list[TracedJob], style: Style, nodes: int
) -> None:
    played = play(traced, Setting(nodes, 4, style), lambda: 0.0)
    assert all(fate.end_s is not None for fate in played.fates)
    assert [fate.job.name for fate in played.fates if fate.slip_s > 0] == []


@given(jobs(), STYLES, st.integers(1, 3), st.data())
@thorough
def test_whatever_the_estimates_all_jobs_end_and_none_is_promised_for_nothing(
    traced: list[TracedJob], style: Style, nodes: int, data: st.DataObject
) -> None:
    guessed = [
        TracedJob(
            job.name,
            job.submit_s,
            job.runtime_s,
            job.gpus,
            job.pods,
            data.draw(st.sampled_from((None, 0.5, 3.0, 30.0))),
        )
        for job in traced
    ]
    played = play(guessed, Setting(nodes, 4, style), lambda: 0.0)
    assert all(fate.end_s is not None for fate in played.fates)
    assert all(0 <= gpus <= played.setting.gpus for _, gpus in played.used)


def waiting(pending: Pending, rng_jobs: Sequence[tuple[int, int, float | None]]) -> None:
    for age, (pods, gpus, lasts_s) in enumerate(rng_jobs):
        spec = JobSpec(
            f"default/w{age}", Group(minimum=pods) if pods > 1 else None, created_s=age, max_runtime_s=lasts_s
        )
        for number in range(pods):
            name = f"w{age}" if pods == 1 else f"w{age}-{number}"
            pending.put(pod(name, gpu=gpus, created_s=age), spec)


spans = st.sampled_from((None, 1.0, 5.0, 10.0, 20.0, 40.0))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), spans), max_size=6),
    st.lists(st.tuples(st.sampled_from((1, 1, 2)), st.integers(1, 4), spans), min_size=1, max_size=8),
    STYLES,
)
@thorough
def test_nobody_waits_who_is_in_nobody_s_way(
    runs: list[tuple[int, int, float | None]],
    waits: list[tuple[int, int, float | None]],
    style: Style,
) -> None:
    policies, backfill = Policies(), Backfill(style)
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for number in range(3):
        snapshot.set_facts(node("abc"[number], gpus=4, cpu=1000, pods=100))
    for number, (where, gpus, until) in enumerate(runs):
        if snapshot.nodes["abc"[where]].available(GPU) >= gpus:
            one = pod(f"r{number}", gpu=gpus)
            snapshot.set_pod(placed(one, "abc"[where]))
            backfill.started(JobSpec(one.key, max_runtime_s=until), [one.key], 0.0)
    waiting(pending, waits)
    outcome = cycle.run(snapshot, pending, rankings, backfill=backfill, now_s=0.0)
    kept = {name for promise in outcome.promises for name in promise.by_node}
    elsewhere = [name for name in snapshot.nodes if name not in kept]
    session = Session(snapshot)
    for job in pending.jobs.values():
        lacks = job.lacks()
        if not job.waiting or not lacks:
            continue
        lasts_s = backfill.estimate(job.spec)
        end_s = inf if lasts_s is None else lasts_s
        first_s = min(
            (promise.start_s for promise in outcome.promises if promise.job.key != job.spec.key), default=inf
        )
        open_to_it = list(snapshot.nodes) if end_s <= first_s else elsewhere
        found = place_job(session, job, lacks, rankings, {}, within=open_to_it)
        assert isinstance(found, Shortfall), job.spec.key


@pytest.mark.parametrize("style", [None, *Style])
def test_a_run_is_repeated_to_the_last_figure(style: Style | None) -> None:
    traced = [
        TracedJob(f"j{n}", float(n % 7), 1.0 + n * 13 % 11, 1 + n % 4, 1 + n % 2, 2.0 + n * 7 % 19)
        for n in range(40)
    ]
    first, second = (play(traced, Setting(2, 4, style), lambda: 0.0) for _ in range(2))
    assert first == second
    assert {fate.start_s for fate in first.fates} != {0.0}


def test_without_promises_a_big_job_starves_and_with_them_it_does_not() -> None:
    small = [TracedJob(f"s{n:03}", float(n), 10.0, 1, 1, 10.0) for n in range(200)]
    big = TracedJob("big", 5.0, 10.0, 4, 1, 10.0)
    waits = {}
    for style in (None, Style.EASY):
        fates = play([*small, big], Setting(1, 4, style), lambda: 0.0).fates
        waits[style] = next(fate.wait_s for fate in fates if fate.job.name == "big")
    assert waits[None] > 190
    assert waits[Style.EASY] < 20
