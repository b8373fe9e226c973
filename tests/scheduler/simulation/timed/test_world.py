"""Jobs over virtual time."""

from dataclasses import replace
from random import Random

import pytest

from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.core.queues.terms import UNLIMITED
from aliquot.scheduler.simulation.timed.estimates import ROUND_S, Estimates, estimated
from aliquot.scheduler.simulation.timed.figures import figures, jain, percentile, spread
from aliquot.scheduler.simulation.timed.queue_settings import SettingError, declared
from aliquot.scheduler.simulation.timed.virtual_cluster import Played
from aliquot.scheduler.simulation.timed.workload import TracedJob
from aliquot.scheduler.simulation.timed.world import Setting, play


def job(name: str, submit_s: float, runtime_s: float, gpus: int = 1, **more: object) -> TracedJob:
    return TracedJob(name, submit_s, runtime_s, gpus, **more)  # type: ignore[arg-type]


def played(*jobs: TracedJob, setting: Setting = Setting(1, 4)) -> Played:  # noqa: B008 - frozen
    return play(jobs, setting, lambda: 0.0)


def times(one: Played) -> dict[str, tuple[float | None, float | None]]:
    return {fate.job.name: (fate.start_s, fate.end_s) for fate in one.fates}


def test_jobs_wait_run_and_make_room() -> None:
    one = played(job("a", 0, 10, 3), job("b", 1, 5, 2), job("c", 2, 1, 1))
    assert times(one) == {"a": (0, 10), "b": (10, 15), "c": (2, 3)}
    assert one.used == [(0, 3), (2, 4), (3, 3), (10, 2), (15, 0)]
    assert one.events == 9


def test_who_ends_at_a_moment_makes_room_for_who_comes_at_it() -> None:
    assert times(played(job("a", 0, 10, 4), job("b", 10, 5, 4)))["b"] == (10, 15)


def test_a_gang_starts_as_one_or_not_at_all() -> None:
    one = played(job("a", 0, 10, 2), job("gang", 1, 5, 2, pods=3), setting=Setting(2, 4))
    assert times(one)["gang"] == (1, 6)
    one = played(job("a", 0, 10, 3), job("gang", 1, 5, 2, pods=4), setting=Setting(2, 4))
    assert times(one)["gang"] == (10, 15)


@pytest.mark.parametrize(("gpus", "pods"), [(5, 1), (3, 3)])
def test_who_never_fits_is_counted_and_left_out(gpus: int, pods: int) -> None:
    one = played(job("a", 0, 1, gpus, pods=pods), job("b", 0, 1), setting=Setting(2, 4))
    assert one.too_large == 1
    assert times(one) == {"b": (0, 1)}


def test_overdue_jobs_are_stopped_where_that_is_asked_for() -> None:
    late = job("a", 0, 10, estimate_s=4.0)
    assert times(played(late)) == {"a": (0, 10)}
    one = played(late, setting=Setting(1, 4, stops_overdue=True))
    assert times(one) == {"a": (0, 4)}
    assert figures(one).stopped == 1


def test_queues_divide_the_cluster() -> None:
    jobs = [job(f"{queue}{n}", 0, 10, queue=queue) for queue in "ab" for n in range(8)]
    queues = declared("ab", ["a.quota=2"])
    one = played(*jobs, setting=Setting(1, 4, queues=queues))
    at_once = [fate.job.queue for fate in one.fates if fate.start_s == 0]
    assert sorted(at_once) == ["a", "a", "a", "b"]


def test_what_a_queue_s_limit_keeps_out_waits() -> None:
    queues = declared([""], ["default.limit=1"])
    one = played(job("a", 0, 10), job("b", 0, 10), setting=Setting(1, 4, Style.EASY, queues))
    assert times(one) == {"a": (0, 10), "b": (10, 20)}


EVICTING = declared("ab", ["a.quota=0", "b.quota=2"])


@pytest.mark.parametrize("backfill", [None, Style.EASY])
def test_who_has_borrowed_goes_and_begins_anew(backfill: Style | None) -> None:
    jobs = [*(job(f"a{n}", 0, 100, queue="a") for n in range(4)), job("b", 10, 20, 2, queue="b")]
    setting = Setting(1, 4, backfill, EVICTING, evicts=True)
    one = played(*jobs, setting=setting)
    assert times(one)["b"] == (10, 30)
    gone = [fate for fate in one.fates if fate.evictions]
    assert [(fate.evictions, fate.start_s, fate.wait_s, fate.end_s) for fate in gone] == [(1, 0, 20, 130)] * 2
    assert sum(fate.lost_gpu_s for fate in gone) == 20
    assert one.used == [(0, 4), (100, 2), (130, 0)]
    found = figures(one)
    assert (found.evictions, found.by_queue["a"].evictions, found.by_queue["b"].evictions) == (2, 2, 0)
    assert found.lost_gpu_hours == 20 / 3600
    assert found.by_queue["a"].gpu_hours == 400 / 3600


def test_a_gang_goes_as_one_and_starts_as_one() -> None:
    jobs = [job("gang", 0, 50, 1, pods=3), job("high", 10, 5, 2, priority=1)]
    one = played(*jobs, setting=Setting(1, 4, evicts=True))
    assert times(one) == {"gang": (0, 65), "high": (10, 15)}
    assert one.used == [(0, 3), (10, 2), (15, 3), (65, 0)]
    assert [fate.evictions for fate in one.fates] == [1, 0]


def test_somebody_may_go_more_than_once() -> None:
    jobs = [job("low", 0, 10, 4), *(job(f"high{n}", 5 + 5 * n, 1, 4, priority=1) for n in range(2))]
    one = played(*jobs, setting=Setting(1, 4, evicts=True))
    assert times(one) == {"low": (0, 21), "high0": (5, 6), "high1": (10, 11)}
    low = one.fates[0]
    assert (low.evictions, low.wait_s, low.lost_gpu_s) == (2, 2, 4 * (5 + 4))


def test_without_evictions_all_stay() -> None:
    one = played(job("low", 0, 50, 4), job("high", 10, 5, 4, priority=1))
    assert times(one) == {"low": (0, 50), "high": (50, 55)}


def test_a_minimum_run_time_is_waited_for() -> None:
    queues = [replace(one, reclaim_min_runtime_s=300.0) for one in EVICTING]
    jobs = [*(job(f"a{n}", 0, 1000, queue="a") for n in range(4)), job("b", 10, 20, 2, queue="b")]
    one = played(*jobs, setting=Setting(1, 4, queues=queues, evicts=True))
    start_s = times(one)["b"][0]
    assert start_s is not None and 300 <= start_s < 300 + 60


def test_what_queues_are_owed() -> None:
    jobs = [*(job(f"a{n}", 0, 100, queue="a") for n in range(4)), job("b", 0, 100, 2, queue="b")]
    jobs += [job("last", 100, 1, queue="a")]
    queues = declared("ab", ["a.quota=4"])
    found = figures(played(*jobs, setting=Setting(1, 4, queues=queues)))
    a, b = found.by_queue["a"], found.by_queue["b"]
    assert (a.held, a.due, a.owed) == (4, 4, 0)
    assert (b.held, b.due, b.owed) == (0, 0, 0)
    assert found.share_error == 0
    # Queue b is due 2 of them from 50 s on, and waits until 100 s.
    late = replace(jobs[4], submit_s=50.0)
    queues = declared("ab", ["b.quota=2"])
    found = figures(played(*jobs[:4], late, jobs[5], setting=Setting(1, 4, queues=queues)))
    assert found.by_queue["b"].owed == 1
    assert found.share_error == 0.25


def test_how_much_is_in_pieces_too_small() -> None:
    # Of two nodes one has 1 GPU left: of no use to two of the three jobs, that of 3 and that of 4.
    jobs = [job("a", 0, 10, 3), job("b", 0, 10, 4), job("last", 10, 1, 1)]
    queues = declared([""], ["default.limit=4"])
    found = figures(played(*jobs, setting=Setting(2, 4, queues=queues)))
    assert found.fragmented == pytest.approx(2 / 3 / 8)
    # While nothing is in use nothing is in pieces.
    assert figures(played(job("a", 0, 1, 4), job("b", 10, 1, 4))).fragmented == 0


def test_figures() -> None:
    one = played(
        job("a", 0, 20, 4, queue="x"), job("b", 10, 10, 4, queue="y"), setting=Setting(1, 4, Style.EASY)
    )
    found = figures(one)
    assert found.of_all.waits is not None and found.large is not None and found.completion is not None
    assert (found.of_all.jobs, found.of_all.waits.mean, found.large.most) == (2, 5, 10)
    assert (found.completion.mean, found.makespan_s, found.allocated) == (20, 30, 1.0)
    assert found.of_all.slowdown == 1.5
    assert found.by_queue["y"].slowdown == 2
    assert found.fairness == pytest.approx(0.9)
    assert (found.promised, found.late, found.unstarted) == (0, 0, 0)


def test_how_late_promises_come_true_is_told() -> None:
    jobs = [job("a", 0, 100, 4, estimate_s=30.0), job("b", 1, 5, 4, estimate_s=5.0)]
    found = figures(played(*jobs, setting=Setting(1, 4, Style.EASY)))
    assert (found.promised, found.late) == (1, 1)
    assert found.slips is not None and found.slips.mean == 70


@pytest.mark.parametrize(("part", "value"), [(0.0, 1), (0.1, 1), (0.5, 5), (0.9, 9), (0.99, 10), (1.0, 10)])
def test_percentiles(part: float, value: int) -> None:
    assert percentile(range(1, 11), part) == value


def test_of_nothing_there_are_no_figures() -> None:
    assert spread([]) is None
    assert jain([1.0]) is None


@pytest.mark.parametrize(("values", "index"), [([2, 2, 2], 1.0), ([1, 0, 0, 0], 0.25), ([3, 1], 0.8)])
def test_fairness(values: list[float], index: float) -> None:
    assert jain(values) == pytest.approx(index)


JOBS = [job(f"j{n}", n, 100.0 * (n + 1)) for n in range(300)]


@pytest.mark.parametrize("kind", [Estimates.POOR, Estimates.ROUND])
def test_estimates_follow_from_their_seed(kind: Estimates) -> None:
    first, again, other = (estimated(JOBS, kind, Random(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_how_good_estimates_are() -> None:
    exact = estimated(JOBS, Estimates.EXACT, Random(1))
    assert all(one.estimate_s == one.runtime_s for one in exact)
    poor = [
        one.estimate_s / one.runtime_s for one in estimated(JOBS, Estimates.POOR, Random(1)) if one.estimate_s
    ]
    assert 0.5 <= min(poor) < 0.6 and 9 < max(poor) <= 10
    assert 0.15 < sum(part < 1 for part in poor) / len(poor) < 0.32
    rounded = [one for one in estimated(JOBS, Estimates.ROUND, Random(1)) if one.estimate_s]
    assert all(one.estimate_s in ROUND_S and one.estimate_s >= one.runtime_s for one in rounded)
    assert all(one.estimate_s is None for one in estimated(exact, Estimates.NONE, Random(1)))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("a=3", "'a=3' is not NAME.quota|limit|weight|priority|parent=VALUE, like research.quota=64"),
        (
            "a.gpus=3",
            "'a.gpus=3' is not NAME.quota|limit|weight|priority|parent=VALUE, like research.quota=64",
        ),
        (
            "a.quota=many",
            "'a.quota=many': 'many' is not a number from 0 on, like 2, 1.5 or 500m; -1 is without end",
        ),
        (
            "a.limit=-2",
            "'a.limit=-2': '-2' is not a number from 0 on, like 2, 1.5 or 500m; -1 is without end",
        ),
        ("a.weight=-1", "'a.weight=-1': '-1' is not a number from 0 on, like 2, 1.5 or 500m"),
        ("a.priority=1e99", "'a.priority=1e99': '1e99' is not a whole number from -1000000 to 1000000"),
        (
            "a.priority=1000001",
            "'a.priority=1000001': '1000001' is not a whole number from -1000000 to 1000000",
        ),
        ("a.parent=a", "queue 'a': its parents form a cycle: a -> a"),
        (
            "a.parent=top",
            "queue 'a' has a parent 'top' that is not there: set something of it, like top.weight=1",
        ),
    ],
)
def test_settings_of_queues_that_cannot_be_read(setting: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        declared(["a"], [setting])
    assert str(caught.value) == told


def test_settings_add_up() -> None:
    (a, top) = declared(["a"], ["a.quota=1.5", "top.priority=7", "a.parent=top", "a.weight=2", "a.limit=8"])
    assert (a.parent, top.priority) == ("top", 7)
    terms = a.terms["gpu"]
    assert (terms.quota, terms.limit, terms.weight_milli) == (1500, 8000, 2000)
    (a,) = declared(["a"], ["a.quota=500m", "a.limit=-1", "a.priority=-3"])
    assert (a.terms["gpu"].quota, a.terms["gpu"].limit, a.priority) == (500, UNLIMITED, -3)
    assert declared(["a"], []) == []


@pytest.mark.parametrize(
    ("setting", "order"),
    [
        ({}, ["high", "ann", "bob"]),
        # Ann has had more.
        ({"usage_half_life_s": 1000.0}, ["high", "bob", "ann"]),
        # It came so much later that its priority does not make up for it.
        ({"ageing_s": 10.0}, ["ann", "bob", "high"]),
    ],
)
def test_what_was_had_and_how_long_jobs_have_waited_count(
    setting: dict[str, float], order: list[str]
) -> None:
    one = played(
        job("first", 0, 100, user="ann"),
        job("ann", 1, 10, user="ann"),
        job("bob", 2, 10, user="bob"),
        job("high", 90, 10, user="carl", priority=1),
        setting=Setting(1, 1, queues=declared(["default"], ["default.weight=1"]), **setting),  # type: ignore[arg-type]
    )
    starts = {fate.job.name: fate.start_s for fate in one.fates}
    assert sorted(order, key=lambda name: starts[name] or 0.0) == order


def test_fairness_between_users_is_told_where_the_trace_names_them() -> None:
    alone = played(job("a", 0, 10, 4), job("b", 0, 10, 4))
    assert figures(alone).user_fairness is None
    named = played(job("a", 0, 10, 4, user="ann"), job("b", 0, 10, 4, user="bob"))
    # Slowdowns of 1 and 2.
    assert figures(named).user_fairness == pytest.approx(0.9)
