"""Small worlds, run to their end by the core: what was promised is kept, and no room that nobody needs stays empty."""

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import Fitting, Shortfall
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

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    assert all(0 <= gpus <= played.gpus for _, gpus in played.used)


def waiting(pending: Pending, rng_jobs: Sequence[tuple[int, int, float | None]]) -> None:
    for age, (pods, gpus, lasts_s) in enumerate(rng_jobs):
        spec = JobSpec(
            f"default/w{age}", Group(minimum=pods) if pods > 1 else None, created_s=age, max_runtime_s=lasts_s
        )
        for number in range(pods):
            name = f"w{age}" if pods == 1 else f"w{age}-{number}"
            pending.put(pod(name, gpu=gpus, created_s=age), spec)


spans = st.sampled_from((None, 1.0, 5.0, 10.0, 20.0, 40.0))


RUNS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), spans), max_size=9)
WAITS = st.lists(st.tuples(st.sampled_from((1, 1, 2)), st.integers(1, 4), spans), min_size=1, max_size=8)


class Cluster:
    """Three nodes of four GPUs after one pass at 0 s."""

    def __init__(
        self,
        runs: Sequence[tuple[int, int, float | None]],
        waits: Sequence[tuple[int, int, float | None]],
        style: Style,
    ) -> None:
        policies = Policies()
        self.backfill = Backfill(style)
        self.snapshot, self.pending, self.rankings = Snapshot(), Pending(policies.order), Rankings(policies)
        for number in range(3):
            self.snapshot.set_facts(node("abc"[number], gpus=4, cpu=1000, pods=100))
        for number, (where, gpus, until) in enumerate(runs):
            if self.snapshot.nodes["abc"[where]].available(GPU) >= gpus:
                one = pod(f"r{number}", gpu=gpus)
                self.snapshot.set_pod(placed(one, "abc"[where]))
                self.backfill.started(JobSpec(one.key, max_runtime_s=until), [one.key], 0.0)
        waiting(self.pending, waits)
        self.outcome = cycle.run(
            self.snapshot, self.pending, self.rankings, backfill=self.backfill, now_s=0.0
        )

    def fits(self, key: str, *, at_s: float = 0.0, within: Sequence[str] | None = None) -> bool:
        """With all gone that are expected to have ended by then."""
        job = self.pending.jobs[key]
        session = Session(self.snapshot)
        for end_s, ended in list(self.backfill.timetable.ends):
            if end_s <= at_s and ended in self.snapshot.pods:
                session.evict(ended)
        found = Fitting(session, self.rankings, {}).place_job(job, job.lacks() or {}, within=within)
        session.undo()
        return not isinstance(found, Shortfall)


@given(RUNS, WAITS, STYLES)
@thorough
def test_nobody_waits_who_is_in_nobody_s_way(
    runs: list[tuple[int, int, float | None]], waits: list[tuple[int, int, float | None]], style: Style
) -> None:
    cluster = Cluster(runs, waits, style)
    promises = cluster.outcome.promises
    kept = {name for promise in promises for name in promise.by_node}
    elsewhere = [name for name in cluster.snapshot.nodes if name not in kept]
    for job in cluster.pending.jobs.values():
        if not job.waiting:
            continue
        lasts_s = cluster.backfill.estimate(job.spec)
        first_s = min(
            (promise.start_s for promise in promises if promise.job.key != job.spec.key), default=inf
        )
        short = lasts_s is not None and lasts_s <= first_s
        assert not cluster.fits(job.spec.key, within=None if short else elsewhere), job.spec.key


@given(RUNS, WAITS)
@thorough
def test_a_promise_is_for_the_first_moment_at_which_the_job_fits(
    runs: list[tuple[int, int, float | None]], waits: list[tuple[int, int, float | None]]
) -> None:
    cluster = Cluster(runs, waits, Style.EASY)
    moments = sorted({end_s for end_s, _ in cluster.backfill.timetable.ends})
    for promise in cluster.outcome.promises:
        assert promise.start_s == next(
            moment for moment in moments if cluster.fits(promise.job.key, at_s=moment)
        )
    if not cluster.outcome.promises and cluster.outcome.blocked and moments:
        assert not cluster.fits(cluster.outcome.blocked[0].job.key, at_s=moments[-1])


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
